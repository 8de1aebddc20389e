/** Colours for those who see them. Words say everything, colours only repeat it. */
import { styleText } from "node:util";

export type Style = Parameters<typeof styleText>[0];
/** Colours a text, or does not. */
export type Paint = (style: Style, text: string) => string;

export const plain: Paint = (_style, text) => text;
export const coloured: Paint = (style, text) => styleText(style, text, { validateStream: false });

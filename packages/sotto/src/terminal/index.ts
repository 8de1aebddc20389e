export { columns } from "./columns.ts";
export { coloured, type Paint, plain, type Style } from "./paint.ts";
export { type StatusForm, showStatus } from "./status-watch.ts";
export { COLUMNS, countText, durationText, shareText, wrap } from "./text.ts";

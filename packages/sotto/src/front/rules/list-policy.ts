/** What a list wants for one of its names. Plain lists only list; response policy zones say more. */
import type { AnswerTemplate } from "./local-answer.ts";

/** `pass`: an exception from the list. `answer`: records of our own, NXDOMAIN and NODATA among them. */
export type ListPolicy =
  | { readonly kind: "none" }
  | { readonly kind: "listed" }
  | { readonly kind: "pass" }
  | { readonly kind: "drop" }
  | { readonly kind: "truncate" }
  | { readonly kind: "answer"; readonly answer: AnswerTemplate };

/** The number of {@link ListPolicy} `pass` in every list. */
export const PASS = 2;

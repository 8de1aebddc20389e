export { protectionText } from "./print-text.ts";
export { runQuery } from "./query.ts";

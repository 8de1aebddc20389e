export { runQuery } from "./query.ts";

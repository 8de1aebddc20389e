export { runPlayground } from "./playground.ts";

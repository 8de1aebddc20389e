export { type ExposedFacts, exposeInternet } from "./expose.ts";
export { runPlayground } from "./playground.ts";

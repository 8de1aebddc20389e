export { NameListReader, type LoadedNames } from "./name-list.ts";

export { controlCommands } from "./control.ts";
export { type RunningServer, type StartOptions, startRecursor } from "./recursor-daemon.ts";

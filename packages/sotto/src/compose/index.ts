export { type RunningServer, type StartOptions, startRecursor } from "./recursor-daemon.ts";

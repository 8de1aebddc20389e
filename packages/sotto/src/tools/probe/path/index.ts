export { PATH_ROWS, planOfPath, probePath } from "./probe-path.ts";

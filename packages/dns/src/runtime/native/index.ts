export { type NativeRuntime, nativeRuntime } from "./native-runtime.ts";

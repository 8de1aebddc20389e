export type { AcceptedDescriptor } from "./native-listener.ts";
export { closeDescriptor, type NativeRuntime, nativeRuntime } from "./native-runtime.ts";

// What test/native-engine.mjs puts in the place of @sotto/dns/runtime/node.
import { nativeRuntime } from "@sotto/dns/runtime/native";

export * from "@sotto/dns/runtime/node";

/** The native engine under the name of the portable one. */
export function nodeRuntime(events) {
  const runtime = nativeRuntime(events);
  if (runtime.engineProblem !== undefined) throw new Error(`no native engine: ${runtime.engineProblem}`);
  return runtime;
}

// Runs the suites on the native engine: `SOTTO_ENGINE=native npm test`. Whoever imports `nodeRuntime` gets `nativeRuntime` by that name,
// in the tests and in the programs that they start (see scripts/run-tests.mjs). Where there is no native engine, this throws.
import { registerHooks } from "node:module";

const shim = new URL("./native-engine-shim.mjs", import.meta.url).href;

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === "@sotto/dns/runtime/node" && context.parentURL !== shim
      ? { url: shim, format: "module", shortCircuit: true }
      : next(specifier, context),
});

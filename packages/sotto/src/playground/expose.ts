/** `--expose`: the fake internet once more, on real loopback addresses, for resolvers of other people. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { FakeInternet, loopbackAddress, type Tamper } from "@sotto/dns/testing";
import { recordToText } from "@sotto/dns/wire";

/** Where the exposed internet is. */
export interface ExposedFacts {
  readonly port: number;
  readonly rootAddresses: readonly string[];
  /** In zone file form, with loopback addresses. */
  readonly rootHintsFile: string;
  /** DNSKEY or DS of the root. */
  readonly trustAnchorFile: string;
}

/** An exposed internet that runs. */
export interface ExposedInternet {
  readonly facts: ExposedFacts;
  close(): Promise<void>;
}

/** Opens all servers on their loopback addresses; rejects with what to do when the system does not let us. */
export async function exposeInternet(
  port: number,
  folder: string,
  runtime: Runtime,
  tamper?: Tamper,
): Promise<ExposedInternet> {
  const internet = FakeInternet.build({
    wallMs: runtime.clock.wallMs(),
    mapAddress: loopbackAddress,
    port,
    tellsMinimisation: true,
  });
  try {
    await internet.start(() => runtime.network, runtime.clock, runtime.random, tamper);
  } catch (cause) {
    await internet.close();
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DnsError(
      "ERR_CONFIG",
      `cannot expose the internet on port ${port}: ${why}; another port: --expose-port 5301`,
      { cause },
    );
  }
  const rootHintsFile = join(folder, "exposed.hints");
  const trustAnchorFile = join(folder, "exposed.key");
  writeFileSync(
    rootHintsFile,
    internet.rootHints
      .map(
        ({ name, address }) => `. 3600 IN NS ${name.toString()}\n${name.toString()} 3600 IN A ${address}\n`,
      )
      .join(""),
  );
  writeFileSync(trustAnchorFile, internet.trustAnchors.map((record) => `${recordToText(record)}\n`).join(""));
  return {
    facts: {
      port,
      rootAddresses: internet.rootHints.map(({ address }) => address),
      rootHintsFile,
      trustAnchorFile,
    },
    close: () => internet.close(),
  };
}

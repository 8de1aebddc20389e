/** Our front end's configuration file and command line: the one place that knows their form. */
import { join } from "node:path";
import type { FrontPlan } from "./front-programs.ts";

const SOTTO = join(import.meta.dirname, "../../packages/sotto/src/bin/sotto.ts");

/** The command without the file that ends it. */
export function sottoCommand(): readonly string[] {
  return [
    process.execPath,
    "--conditions=source",
    "--disable-warning=ExperimentalWarning",
    SOTTO,
    "front",
    "--config",
  ];
}

/** Text of the file. */
export function sottoFrontConfig(plan: FrontPlan): string {
  const { certificateFile, keyFile, fastOpen = false, tellsClient = false, hasCache = false } = plan;
  const proxy = tellsClient ? ", proxy: v2" : "";
  const backends = plan.backends.map(
    ({ transport, address, port }) =>
      `      - { address: "${transport}://${address}:${port}", connections: ${CONNECTIONS_EACH}${proxy} }`,
  );
  return `listen:
  - { transport: tls, address: ${plan.address}, port: ${plan.tlsPort}, certificate: ${certificateFile}, key: ${keyFile}, name: public${fastOpen ? ", fast-open: auto" : ""} }
access: { allow: [127.0.0.0/8] }
pools:
  - name: default
    backends:
${backends.join("\n")}
    choice: least-outstanding
    health: { name: "${plan.checkName}", type: A }
    cache: ${hasCache ? "256MiB" : "0B"}
${rulesOf(plan)}engine: ${plan.engine ?? "node"}
limits:
  connections: ${plan.connectionsMax}
  connections-per-address: ${plan.connectionsMax}
  connections-per-subnet: ${plan.connectionsMax}
  queries-in-flight: 1000
  queries-in-flight-total: 20000
  idle-timeout: ${plan.idleMs}ms
log: { level: warn }
`;
}

function rulesOf({ refused, blockListFile }: FrontPlan): string {
  const rules = [
    ...(refused === undefined
      ? []
      : [
          `  - { name: refused-name, when: { name: { suffixes: ["${refused.name}"] } }, then: { refuse: {} } }`,
          `  - { name: refused-client, when: { client: { prefixes: ["${refused.client}/32"] } }, then: { refuse: {} } }`,
        ]),
    ...(blockListFile === undefined
      ? []
      : ["  - { name: blocked, when: { name: { sets: [blocked] } }, then: { refuse: {} } }"]),
  ];
  const sets =
    blockListFile === undefined
      ? ""
      : `sets:\n  - { name: blocked, kind: names, file: "${blockListFile}", format: domains }\n`;
  return rules.length === 0 ? "" : `${sets}rules:\n${rules.join("\n")}\n`;
}

/** Two backends with so many make the eight connections of the storm. */
const CONNECTIONS_EACH = 4;

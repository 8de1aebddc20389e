/**
 * The authentication matrix: a stub with each kind of credential asks servers that are right, wrong in one thing each, or lack
 * one, and resumes sessions, by both usage profiles, over TLS on loopback. A cell is what was observed.
 */
import { createHash, X509Certificate } from "node:crypto";
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { StubResolver, type StubResolverOptions, type UpstreamSpec } from "@sotto/dns/stub";
import { NOW_SECONDS } from "../../packages/dns/src/dnssec/test-signer.test-support.ts";
import {
  AUTHORITY_PEM,
  CERTIFICATES,
  type DaneKind,
  MatrixServer,
  NAME,
  type ServerPlan,
} from "./authentication-servers.ts";

/** One row: what was configured, what the server was like, and what became of it by each profile. */
export interface MatrixRow {
  readonly credential: string;
  readonly group: "right" | "wrong" | "missing" | "resumed";
  readonly situation: string;
  readonly strict: string;
  readonly opportunistic: string;
}

interface Credential {
  readonly name: string;
  readonly spec: Partial<UpstreamSpec>;
  readonly dane?: DaneKind;
}

interface Situation extends Partial<ServerPlan> {
  readonly group: MatrixRow["group"];
  readonly name: string;
  readonly resumes?: boolean;
}

const pin = createHash("sha256")
  .update(new X509Certificate(CERTIFICATES.right.der).publicKey.export({ type: "spki", format: "der" }))
  .digest("base64");

const CREDENTIALS: readonly Credential[] = [
  { name: "name", spec: { name: NAME } },
  { name: "pin", spec: { pins: [pin] } },
  { name: "name and pin", spec: { name: NAME, pins: [pin] } },
  { name: "DANE-EE only", spec: { name: NAME, dane: "only" }, dane: "DANE-EE" },
  { name: "DANE-TA only", spec: { name: NAME, dane: "only" }, dane: "DANE-TA" },
  { name: "DANE-EE preferred to the name", spec: { name: NAME, dane: "prefer" }, dane: "DANE-EE" },
  { name: "none", spec: {} },
];

const SITUATIONS: readonly Situation[] = [
  { group: "right", name: "all is right" },
  { group: "wrong", name: "certificate for another name", certificate: "other name" },
  { group: "wrong", name: "certificate with another key", certificate: "other key" },
  { group: "wrong", name: "certificate of an unknown authority", certificate: "unknown authority" },
  { group: "wrong", name: "certificate that has expired", certificate: "expired" },
  { group: "wrong", name: "TLSA record for another", records: "other" },
  { group: "wrong", name: "TLSA record that is bogus", records: "bogus" },
  { group: "missing", name: "certificate without a name", certificate: "no name" },
  { group: "missing", name: "no TLSA record, securely", records: "none" },
  { group: "missing", name: "no TLS", hasTls: false },
  { group: "resumed", name: "resumed session", resumes: true },
  { group: "resumed", name: "resumed session with a stranger", certificate: "stranger", resumes: true },
];

/** Takes every cell; about as many connections as there are cells. */
export async function takeMatrix(): Promise<MatrixRow[]> {
  const rows: MatrixRow[] = [];
  for (const credential of CREDENTIALS)
    for (const situation of SITUATIONS) {
      if (situation.records !== undefined && credential.dane === undefined) continue;
      rows.push({
        credential: credential.name,
        group: situation.group,
        situation: situation.name,
        strict: await takeCell(credential, situation, "strict"),
        opportunistic: await takeCell(credential, situation, "opportunistic"),
      });
    }
  return rows;
}

async function takeCell(
  { spec, dane }: Credential,
  { certificate = "right", hasTls = true, records = "right", resumes = false }: Situation,
  profile: "strict" | "opportunistic",
): Promise<string> {
  const server = await MatrixServer.open({ certificate, hasTls, records, dane });
  const upstream: UpstreamSpec = {
    address: "127.0.0.1",
    transport: "tls",
    port: server.tlsPort,
    clearPort: server.clearPort,
    trustAnchorsPem: [AUTHORITY_PEM],
    ...spec,
  };
  const trustAnchors = [server.zones.anchor(".")];
  const options = { upstreams: [upstream], profile, hosts: "none", cacheBytesMax: 0, trustAnchors } as const;
  try {
    const outcome = await askServer(options, server, resumes);
    // RFC 8310 §5: not even questions about the server.
    return profile === "strict" && server.clearQueries > 0
      ? `${outcome}, AND SOMETHING WENT IN CLEAR`
      : outcome;
  } finally {
    await server[Symbol.asyncDispose]();
  }
}

/** No `await using` here and above: Node 22 has no such statement. */
async function askServer(
  options: StubResolverOptions,
  server: MatrixServer,
  resumes: boolean,
): Promise<string> {
  let stub: StubResolver | undefined;
  try {
    stub = new StubResolver(options, signedRuntime());
    if (resumes) {
      // Refused or not, only what the second time tells counts.
      await stub.query("www.example", "A").catch(() => undefined);
      await server.hangUp();
    }
    const { protection, authenticatedBy, exchange } = await stub.query("www.example", "A");
    const by = authenticatedBy?.replace(/sha256:.*/, "sha256:…");
    return `${protection}${by === undefined ? "" : ` by ${by}`}${exchange?.sessionResumed === true ? ", resumed" : ""}`;
  } catch (error) {
    if (!DnsError.is(error)) throw error;
    const outcome = `refused: ${error.code}${error.stage === undefined ? "" : ` at ${error.stage}`}`;
    return server.questions > 0 ? `${outcome}, AFTER THE QUESTION LEFT` : outcome;
  } finally {
    await stub?.close();
  }
}

/** The real world, at the time at which the zone's signatures are good. */
function signedRuntime(): Runtime {
  const runtime = nodeRuntime();
  const { clock } = runtime;
  return {
    ...runtime,
    clock: {
      nowMs: () => clock.nowMs(),
      wallMs: () => NOW_SECONDS * 1000,
      startTimer: (name, delayMs, fire, background) => clock.startTimer(name, delayMs, fire, background),
    },
  };
}

/** The page of docs/evidence. */
export function matrixPage(rows: readonly MatrixRow[]): string {
  const lines = rows.map(
    ({ credential, group, situation, strict, opportunistic }) =>
      `| ${credential} | ${group} | ${situation} | ${strict} | ${opportunistic} |`,
  );
  return `# The authentication matrix

Written by \`npm run evidence:authentication -- --write\`. Do not edit. \`test/integration/authentication-matrix.test.ts\` takes it
again and asserts each cell.

Each cell is what a \`StubResolver\` told and a DoT server on 127.0.0.1 saw: how the answer came, or with which code and at which
stage the question was refused before it left. Certificates of the server differ from the right one in the one thing that is
named; unless it says otherwise the key is the same. A stranger's is wrong in everything. TLSA records (\`3 1 1\` of the server's key, \`2 0 1\` of the authority) are
in a signed zone, fetched from the same server and validated locally. With the strict profile no query of any kind came in
clear.

| configured | | server | strict | opportunistic |
|---|---|---|---|---|
${lines.join("\n")}
`;
}

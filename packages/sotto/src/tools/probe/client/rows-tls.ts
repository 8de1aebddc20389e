/** Rows about TLS: whether, with whom, and what the handshake tells. All by what came over the wire, not by what was printed. */
import type { ClientHello } from "../../../testserver/index.ts";
import type { Cell } from "../model.ts";
import { cellOf, type Finding, find } from "./cell.ts";
import { tlsUseOf, type Use } from "./client-plan.ts";
import {
  nothingCame,
  overNamedTls,
  overTls,
  type ProbeContext,
  type RowProbe,
  simpleProbe,
  withoutUse,
} from "./row-probe.ts";
import { queriesOf, questions, type Run } from "./run.ts";

/** A handshake to its end, and a query inside. */
export function judgeTls(run: Run): Finding {
  const done = run.records.find(({ tls, queries }) => tls !== undefined && queries.length > 0);
  if (done?.tls !== undefined)
    return find("released", `a query came over ${done.tls.version} on the port that it was told`);
  const tried = run.records.some(({ hello }) => hello !== undefined);
  if (tried) return find("broken", "it began a handshake, and no query came");
  const isClear = queriesOf(run).length > 0;
  return isClear ? find("none", "its queries came in clear") : nothingCame("over TLS");
}

/** Which of the bad servers were asked something; `good` is the run against the right one. */
export function judgeAuthentication(good: Run, bad: readonly Run[]): Finding {
  if (queriesOf(good, "tls").length === 0)
    return find("not testable", "it did not ask the right server, so that refusing others shows nothing");
  const met = bad.filter(wasMet);
  if (met.length === 0) return find("not testable", "it did not come to servers with wrong certificates");
  const accepted = met.filter((run) => queriesOf(run, "tls").length > 0).map(nameOf);
  const refused = met.filter((run) => queriesOf(run, "tls").length === 0).map(nameOf);
  if (accepted.length === 0)
    return find("released", `it asked the right server, and none with ${refused.join(", ")}`);
  const observed = `it asked servers with ${accepted.join(", ")}`;
  return refused.length === 0
    ? find("none", observed)
    : find("broken", `${observed}; it refused ${refused.join(", ")}`);
}

/** Who never came has refused nothing. */
function wasMet({ records }: Run): boolean {
  return records.length > 0;
}

function nameOf({ exercise }: Run): string {
  return exercise.fixture.replace(/^certificate-/, "").replaceAll("-", " ");
}

/** Always; the thorough ones beside them. */
const BAD_CERTIFICATES = ["wrong-name", "expired", "self-signed", "other-authority"].map(certificate);
const MORE_BAD_CERTIFICATES = ["not-yet-valid", "name-in-cn-only", "client-usage"].map(certificate);

function certificate(kind: string): string {
  return `certificate-${kind}`;
}

async function probeAuthentication(context: ProbeContext): Promise<Cell> {
  const { runner, plan, isThorough } = context;
  const { row, requirements } = AUTHENTICATION;
  if (plan.uses.strict === undefined) {
    if (plan.uses.pinned !== undefined)
      return cellOf(row, requirements, find("partial", "it authenticates by pin only, see there"), []);
    return cellOf(row, requirements, withoutUse(plan, "over TLS of an authenticated server"), []);
  }
  const good = await runner.run({ fixture: "good", use: "strict", questions: questions(1) });
  const bad: Run[] = [];
  const kinds = isThorough ? [...BAD_CERTIFICATES, ...MORE_BAD_CERTIFICATES] : BAD_CERTIFICATES;
  for (const fixture of kinds)
    bad.push(await runner.run({ fixture, use: "strict", questions: questions(1) }));
  return cellOf(row, requirements, judgeAuthentication(good, bad), [good, ...bad]);
}

const AUTHENTICATION: RowProbe = {
  row: "authentication",
  requirements: ["8310-8.1-a", "8310-8.1-b", "8310-6.6-b", "8310-6.6-c", "9525-6-a"],
  fixtures: [...BAD_CERTIFICATES, ...MORE_BAD_CERTIFICATES],
  probe: probeAuthentication,
};

async function probePins({ runner, plan }: ProbeContext): Promise<Cell> {
  const { row, requirements } = PINS;
  if (plan.uses.pinned === undefined) {
    const finding = plan.isComplete
      ? find("none", "it cannot be told a pin", "likely")
      : find("not testable", "the command has no {pin}");
    return cellOf(row, requirements, finding, []);
  }
  const runs: Run[] = [];
  for (const fixture of ["good", certificate("new-key")])
    runs.push(await runner.run({ fixture, use: "pinned", questions: questions(1) }));
  const [good, newKey] = runs;
  const finding =
    good === undefined || newKey === undefined ? nothingCame("over TLS") : judgePins(good, newKey);
  return cellOf(row, requirements, finding, runs);
}

/** The second server has a certificate that is right in all but the key. */
export function judgePins(good: Run, newKey: Run): Finding {
  if (queriesOf(good, "tls").length === 0)
    return find("not testable", "it did not ask the server whose pin it was told");
  if (!wasMet(newKey)) return find("not testable", "it did not come to the server with another key");
  return queriesOf(newKey, "tls").length === 0
    ? find("released", "it asked the server with its pin, and not the one with another key")
    : find("none", "it asked a server with another key than its pin says");
}

const PINS: RowProbe = {
  row: "pins",
  requirements: ["7858-4.2-b", "7858-4.2-c"],
  fixtures: [certificate("new-key")],
  probe: probePins,
};

const HOSTILE = [certificate("wrong-name"), "alert", "cleartext", "handshake-before-hello-fin"];

async function probeDowngrade({ runner, plan }: ProbeContext): Promise<Cell> {
  const { row, requirements } = DOWNGRADE;
  const use: Use | undefined =
    plan.uses.strict !== undefined ? "strict" : plan.uses.pinned !== undefined ? "pinned" : undefined;
  if (use === undefined) {
    const finding =
      tlsUseOf(plan) === undefined
        ? withoutUse(plan, "over TLS")
        : find("not applicable", "it does not authenticate, so that nothing is promised");
    return cellOf(row, requirements, finding, []);
  }
  const good = await runner.run({ fixture: "good", use, questions: questions(1) });
  const runs: Run[] = [];
  // A pin fits all names: there is another key instead.
  for (const fixture of HOSTILE)
    runs.push(
      await runner.run({
        fixture: use === "pinned" && fixture === HOSTILE[0] ? certificate("new-key") : fixture,
        use,
        questions: questions(1),
      }),
    );
  return cellOf(row, requirements, judgeDowngrade(good, runs), [good, ...runs]);
}

/** Only what comes to the ports that the client was told can be seen. */
export function judgeDowngrade(good: Run, hostile: readonly Run[]): Finding {
  if (queriesOf(good, "tls").length === 0)
    return find("not testable", "it did not ask the right server either");
  const met = hostile.filter(wasMet);
  if (met.length === 0) return find("not testable", "it did not come to servers that fail to authenticate");
  const leaking = met.filter(
    (run) =>
      queriesOf(run, "udp", "tcp").length > 0 ||
      run.records.some(({ events }) => events.some(({ what }) => what === NO_HANDSHAKE)),
  );
  return leaking.length === 0
    ? find(
        "released",
        `${met.length} servers failed to authenticate, and nothing came in clear to the ports it was told`,
        "likely",
      )
    : find("broken", `queries came in clear when the server was wrong: ${leaking.map(nameOf).join(", ")}`);
}

const DOWNGRADE: RowProbe = {
  row: "downgrade",
  requirements: ["7858-3.1-e", "8310-6.6-d"],
  fixtures: [...HOSTILE, certificate("new-key")],
  probe: probeDowngrade,
};

/** What the test server notes when the first octets are no TLS. */
const NO_HANDSHAKE = "not a TLS handshake";

function judgeHello(judge: (hello: ClientHello) => Finding): (run: Run) => Finding {
  return (run) => {
    const hello = run.records.find((record) => record.hello !== undefined)?.hello;
    return hello === undefined ? nothingCame("over TLS") : judge(hello);
  };
}

/** RFC 9325 §3.7. */
export const judgeServerName: (run: Run) => Finding = judgeHello(({ serverName }) =>
  serverName === undefined
    ? find("none", "the ClientHello had no server name")
    : find("released", `the ClientHello had the server name ${serverName}`),
);

/** RFC 7858 has no protocol name; that of its later registration is `dot`. */
export const judgeAlpn: (run: Run) => Finding = judgeHello(({ alpn }) => {
  if (alpn.length === 0) return find("none", "the ClientHello offered no protocol");
  const observed = `the ClientHello offered ${alpn.join(", ")}`;
  return alpn.includes("dot") ? find("released", observed) : find("broken", observed);
});

/** RFC 8310 §9, RFC 9325 §3.1. */
export const judgeVersions: (run: Run) => Finding = judgeHello(({ versions }) => {
  const observed = `the ClientHello offered ${versions.join(", ")}`;
  if (versions.some((version) => version === "TLSv1" || version === "TLSv1.1"))
    return find("broken", observed);
  return versions.includes("TLSv1.3") ? find("released", observed) : find("partial", observed);
});

/** In the order of the table. */
export const TLS_PROBES: readonly RowProbe[] = [
  simpleProbe({
    row: "tls",
    requirements: ["7858-3.1-b", "7858-3.1-d"],
    use: overTls,
    exercise: { questions: questions(1) },
    judge: judgeTls,
  }),
  AUTHENTICATION,
  PINS,
  DOWNGRADE,
  simpleProbe({
    row: "server-name",
    requirements: ["9325-3.7-a"],
    use: overNamedTls,
    exercise: { questions: questions(1) },
    judge: judgeServerName,
  }),
  simpleProbe({
    row: "alpn",
    requirements: ["dot-alpn-a", "9325-3.7-a"],
    use: overTls,
    exercise: { questions: questions(1) },
    judge: judgeAlpn,
  }),
  simpleProbe({
    row: "tls-versions",
    requirements: ["8310-9-a", "9325-3.1-a"],
    use: overTls,
    exercise: { questions: questions(1) },
    judge: judgeVersions,
  }),
];

/** The storm's page, and what it has to show. */
import type { Environment } from "../peers/document.ts";
import type { Storm } from "./storm-run.ts";

export interface StormVerdict {
  readonly isMet: boolean;
  readonly text: string;
}

/** At most so many connections to all backends: two with four each. */
const BACKEND_CONNECTIONS_MOST = 8;

export function stormVerdicts({ counts, options, backendConnectionsMost }: Storm): StormVerdict[] {
  const { sent, right, failed, wrong, unanswered, late, left, worstMs, closedByServer } = counts;
  return [
    { isMet: wrong === 0 && right > 0, text: `wrong answers: ${wrong} of ${right + failed + wrong}` },
    { isMet: unanswered === 0, text: `queries without an outcome: ${unanswered} of ${sent}` },
    { isMet: failed === 0, text: `answers that are a failure (SERVFAIL): ${failed}` },
    {
      isMet: late === 0,
      text: `answers later than one retry of ${options.retryIntervalMs} ms: ${late}, the longest took ${worstMs.toFixed(0)} ms`,
    },
    {
      isMet: backendConnectionsMost <= BACKEND_CONNECTIONS_MOST,
      text: `connections to the backends at once: at most ${backendConnectionsMost}`,
    },
    { isMet: closedByServer === 0, text: `clients that the front end has closed: ${closedByServer}` },
    {
      isMet: sent === right + failed + unanswered + left,
      text: `every query is counted once, ${left} of clients that left`,
    },
  ];
}

export function stormPage({
  environment,
  storm,
}: {
  readonly environment: Environment;
  readonly storm: Storm;
}): string {
  const { node, openssl, kernel, processor, cores } = environment;
  const { counts, options, events } = storm;
  const number = (value: number): string => value.toLocaleString("en").replaceAll(",", " ");
  const verdicts = stormVerdicts(storm).map(
    ({ isMet, text }) => `| ${isMet ? "● met" : "✗ missed"} | ${text} |`,
  );
  const rows = events.map(
    ({ atSeconds, backend, what, forMs, worstMs }) =>
      `| ${atSeconds} | ${backend} | ${what} | ${forMs} | ${worstMs} |`,
  );
  return `# Ten thousand clients on eight connections

Written by \`npm run bench:front-storm -- --write\` on Node ${node} with OpenSSL ${openssl}, Linux ${kernel}, ${processor}, ${cores} cores: one
for the front end, one for clients and backends. Do not edit.

${number(options.clients)} DNS over TLS clients ask \`${storm.front}\` for ${number(options.queries)} names, each with a nonce that no other has; the answer is an
address made of it, and every answer is compared, octet by octet, with what its connection asked. A query goes to a random client, up to
four in a row, ${options.outstanding} at once in all; ${options.leavingPerSecond} clients a second leave with what they have under way and come again. Behind it are two
backends, which are killed (SIGKILL, back after a second), stopped (SIGSTOP, 2.5 s) and restarted (SIGTERM) in turn.

| | |
|---|---|
${verdicts.join("\n")}

${number(counts.sent)} queries in ${storm.seconds.toFixed(0)} s, ${number(Math.round(counts.sent / storm.seconds))} a second; ${number(counts.handshakes)} handshakes. Time to the answer: p50
${counts.p50Ms.toFixed(1)} ms, p99 ${counts.p99Ms.toFixed(1)} ms, p99.9 ${counts.p999Ms.toFixed(0)} ms, the longest ${counts.worstMs.toFixed(0)} ms. The front end used ${storm.frontCpuUs.toFixed(1)} µs of CPU for a query, with all handshakes in
it, and ${storm.frontMemoryMib.toFixed(0)} MiB at the end.

## What was done to the backends

| at, s | backend | | for, ms | longest answer until 3 s later, ms |
|--:|--:|---|--:|--:|
${rows.join("\n")}
`;
}

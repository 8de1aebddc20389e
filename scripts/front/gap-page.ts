/** The table of gaps for a terminal and as a page. */
import type { Environment } from "../../bench/peers/document.ts";
import { BACKENDS, type BackendKind } from "./gap-backends.ts";
import { type GapCell, ROWS, type RowKey, type Word } from "./gap-cell.ts";

/** All tables, one for each backend, with the words alone. */
export function gapTable(cells: readonly GapCell[]): string {
  return kindsOf(cells)
    .map((kind) => `${kind}: ${BACKENDS[kind]}\n\n${tableOf(cells, kind)}`)
    .join("\n");
}

function kindsOf(cells: readonly GapCell[]): BackendKind[] {
  // Its keys are the kinds.
  const all = Object.keys(BACKENDS) as BackendKind[];
  return all.filter((kind) => cells.some(({ backend }) => backend === kind));
}

function tableOf(cells: readonly GapCell[], kind: BackendKind): string {
  const here = cells.filter(({ backend }) => backend === kind);
  const fronts = [...new Set(here.map(({ front }) => front))];
  // Its keys are the rows.
  const rows = Object.keys(ROWS) as RowKey[];
  const lines = rows.map((row) => {
    const words = fronts.map((front) => {
      const cell = here.find((one) => one.front === front && one.row === row);
      return cell === undefined ? "–" : `${MARKS[cell.word]} ${cell.word}`;
    });
    return `| ${ROWS[row]} | ${words.join(" | ")} |`;
  });
  return `| | ${fronts.join(" | ")} |\n|---|${fronts.map(() => "---|").join("")}\n${lines.join("\n")}\n`;
}

/** Beside the words, for those who look for them. */
const MARKS: Readonly<Record<Word, string>> = {
  full: "●",
  partial: "◐",
  none: "○",
  untrue: "✗",
  "not testable": "–",
};

/** The page of `docs/evidence`. */
export function gapPage(environment: Environment, cells: readonly GapCell[]): string {
  const { node, openssl, kernel, packages } = environment;
  const versions = Object.entries(packages).map(([name, version]) => `${name} ${version}`);
  const sections = kindsOf(cells).map(
    (kind) => `## Before ${BACKENDS[kind]}\n\n${tableOf(cells, kind)}\n${evidenceOf(cells, kind)}`,
  );
  return `# TLS front ends before DNS servers

Written by \`npm run evidence:front -- --write\` on Node ${node}, OpenSSL ${openssl}, Linux ${kernel}. Do not edit. Beside us:
${versions.join(", ")}.

Each program stands before the same server and is asked over TLS 1.3 on loopback, in a network namespace with
\`net.ipv4.tcp_fastopen=3\`. Each has what its own settings offer for the row; the configurations are in
\`scripts/front/front-programs.ts\`, every message with its time is in \`front-gaps.json\`.

Words: **full** is all that the row asks; **partial** is a part, told below; **none** is not there; **untrue** is a promise that is not
kept; **not testable** leaves nothing to observe, or the probe failed. The rows:

- *Pipelining*: twenty queries in one write are all answered.
- *Out-of-order answers*: what the backend knows at once does not wait for what takes it 300 ms.
- *Keepalive told and kept*: the timeout that edns-tcp-keepalive tells against when the idle connection is closed, from 100 ms before to
  1 s after; once with the front end's idle timer the shorter one (3 s and 6 s), once with the backend's. Broken in one of both is untrue.
- *Padding of answers*: multiples of 468 octets for queries with padding, none for others.
- *Refusal by query*: a name, and a client address, get REFUSED while the connection and other clients go on.
- *Client known to the backend*: by PROXY header or client subnet, as the backend itself tells. Debian's unbound reads version 2 only.
  Such a header names one client for a connection: with it, nobody's backend connections are shared, ours neither.
- *Backend connections for 50 clients*: at most eight, and all are answered.
- *TCP Fast Open*: with cookie, data in the SYN of later connections.
- *TLS 1.3 resumption*: a ticket is accepted.
- *Draining*: at a reload, queries under way and new connections are served; at the end, the query under way is answered, and clients
  are told to go by a timeout of 0.

${sections.join("\n")}`;
}

function evidenceOf(cells: readonly GapCell[], kind: BackendKind): string {
  const here = cells.filter(({ backend }) => backend === kind);
  // Its keys are the rows.
  const rows = Object.keys(ROWS) as RowKey[];
  return rows
    .map((row) => {
      const lines = here
        .filter((cell) => cell.row === row)
        .map(({ front, word, evidence }) => `| ${front} | ${word} | ${evidence.map(escaped).join("<br>")} |`);
      return `### ${ROWS[row]}\n\n| front end | | observed |\n|---|---|---|\n${lines.join("\n")}\n`;
    })
    .join("\n");
}

function escaped(text: string): string {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ").slice(0, EVIDENCE_MOST);
}

/** Longer ones are the output of programs that did not start. */
const EVIDENCE_MOST = 400;

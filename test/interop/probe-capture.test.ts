/** Captures made of a probe's evidence, and of its TLS connections with the key log beside, read by Wireshark's dissectors. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import {
  encodeMessage,
  frameMessage,
  makeEdns,
  makeMessage,
  makePadding,
  octetsToHex,
  parseName,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import type { EvidenceStep } from "../../packages/sotto/src/tools/probe/model.ts";
import { pcapngOf } from "../../packages/sotto/src/tools/probe/report/index.ts";
import { ProbedFixtures } from "../../packages/sotto/src/tools/probe/server/probed-fixtures.test-support.ts";
import { findProgram, peerTest, runCommand, temporaryFolder } from "./peers.ts";

const QUESTION = { name: parseName("www.test."), type: RRType.A, class: RRClass.IN };

/** `checksum.status` of Wireshark. */
const CHECKSUM_GOOD = "1";
const CHECKSUM_UNVERIFIED = "2";

/** One line a packet, fields parted by `|`. */
async function fieldsOf(file: string, fields: readonly string[], ...more: string[]): Promise<string[][]> {
  const result = await runCommand(findProgram("tshark") ?? "tshark", [
    ..."-n -T fields -E separator=| -o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE".split(
      " ",
    ),
    ...more,
    "-r",
    file,
    ...fields.flatMap((field) => ["-e", field]),
  ]);
  assert.equal(result.code, 0, result.stderr);
  return result.stdout
    .trimEnd()
    .split("\n")
    .map((line) => line.split("|"));
}

async function startFixture(context: TestContext): Promise<ProbedFixtures> {
  const fixtures = new ProbedFixtures();
  await fixtures.start(["good"]);
  context.after(() => fixtures.close());
  return fixtures;
}

peerTest(
  "tshark reads every message of a probe, in streams without a gap and without a malformed mark",
  ["tshark"],
  async (context) => {
    const fixtures = await startFixture(context);
    const report = await fixtures.probe("good");
    const file = join(temporaryFolder(context), "probe.pcapng");
    writeFileSync(file, pcapngOf([{ title: "good", report }]));
    const steps = report.cells.flatMap(({ row, evidence }) =>
      evidence.filter(({ over }) => over !== undefined).map((step) => ({ row, step })),
    );
    assert.ok(steps.length > 100, `${steps.length} messages`);
    const fields = [
      "dns.id",
      "frame.comment",
      "ip.proto",
      "dns.qry.name",
      "_ws.malformed",
      "ip.checksum.status",
      "tcp.checksum.status",
      "udp.checksum.status",
      "tcp.analysis.flags",
    ];
    const packets = (await fieldsOf(file, fields)).filter(([id]) => id !== "");
    const names = new Set<string>();
    let cut = 0;
    assert.equal(packets.length, steps.length);
    for (const [i, { row, step }] of steps.entries()) {
      const [id, comment = "", protocol, name = "", malformed, ...rest] = packets[i] ?? [];
      const [ip, tcp = "", udp = "", analysis] = rest;
      const what = `${row}: ${step.what}: ${packets[i]?.join("|")}`;
      assert.equal(Number(id), Number.parseInt(step.octets?.slice(0, 4) ?? "", 16), what);
      assert.ok(comment.startsWith(`${row}: `), what);
      assert.equal(/sent in TLS/.test(comment), step.over === "tls", what);
      assert.equal(Number(protocol), step.over === "udp" ? 17 : 6, what);
      // The dissector wants a TLV of every message of DSO; a refusal has none (RFC 8490 §5.1.1).
      if (!isDsoRefusal(step)) assert.equal(malformed, "", what);
      // Of a message that was cut nobody can tell.
      const expected = step.wholeOctets === undefined ? CHECKSUM_GOOD : CHECKSUM_UNVERIFIED;
      assert.deepEqual([ip, tcp + udp, analysis], [CHECKSUM_GOOD, expected, ""], what);
      names.add(name.toLowerCase());
      if (step.wholeOctets !== undefined) cut++;
    }
    assert.ok(names.has("www.test"));
    context.diagnostic(`${packets.length} messages, ${cut} of them cut`);
  },
);

peerTest(
  "a message that was cut is one for tshark, too, over IPv6 and UDP as over TCP",
  ["tshark"],
  async (context) => {
    const message = encodeMessage(
      makeMessage({ questions: [QUESTION], edns: makeEdns({ options: [makePadding(4200)] }) }),
    );
    const evidence = (["udp", "tcp", "tls"] as const).flatMap(
      (over, atMs) =>
        [
          {
            atMs,
            who: "target",
            what: "cut",
            over,
            octets: octetsToHex(message.subarray(0, 4096)),
            wholeOctets: message.length,
          },
          { atMs, who: "target", what: "whole", over, octets: octetsToHex(message) },
        ] as const,
    );
    const cell = {
      row: "a",
      verdict: "released",
      confidence: "certain",
      observed: "",
      requirements: [],
      evidence,
    } as const;
    const report = { kind: "server", startedAt: "2026-11-29T12:00:00Z", tookMs: 1, cells: [cell] } as const;
    const file = join(temporaryFolder(context), "cut.pcapng");
    writeFileSync(
      file,
      pcapngOf(
        ["192.0.2.9", "2001:db8::9"].map((target) => ({ title: target, report: { ...report, target } })),
      ),
    );
    const packets = await fieldsOf(file, [
      "frame.comment",
      "dns.qry.name",
      "_ws.malformed",
      "tcp.analysis.flags",
      "frame.interface_name",
    ]);
    const whole = packets.filter(([comment]) => comment?.startsWith("a: whole"));
    assert.deepEqual(
      packets.map(([comment = "", name, ...more]) => [
        comment.slice(3, 6),
        comment.startsWith("a: whole") ? name : "",
        ...more,
      ]),
      ["192.0.2.9", "2001:db8::9"].flatMap((target) =>
        ["cut", "who", "cut", "who", "cut", "who"].map((word) => [
          word,
          word === "who" ? "www.test" : "",
          "",
          "",
          target,
        ]),
      ),
    );
    assert.equal(whole.length, 6);
  },
);

peerTest(
  "a capture is read with the key log beside it, and not without [rfc9850#2]",
  ["tshark", "text2pcap"],
  async (context) => {
    const fixtures = await startFixture(context);
    const relay = await startRelay(context, fixtures.world.portOf("good", "tls"));
    const lines: string[] = [];
    const stream = await nodeRuntime().network.connect({
      remote: { address: "127.0.0.1", port: relay.port },
      localAddress: undefined,
      tls: {
        serverName: "resolver.sotto.test",
        alpn: ["dot"],
        trustAnchorsPem: undefined,
        session: undefined,
        onKeyLog: (line) => lines.push(line),
      },
      connectTimeoutMs: 10_000,
      handshakeTimeoutMs: 10_000,
      signal: undefined,
    });
    await new Promise<void>((resolve) => {
      stream.setHandlers({
        onData: () => resolve(),
        onEnd: resolve,
        onClose: () => resolve(),
        onDrain: () => undefined,
      });
      stream.write(frameMessage(encodeMessage(makeMessage({ id: 77, questions: [QUESTION] }))));
    });
    stream.reset();
    const folder = temporaryFolder(context);
    const [keys, dump, file] = ["keys.txt", "dump.txt", "real.pcapng"].map((name) => join(folder, name));
    assert.ok(keys !== undefined && dump !== undefined && file !== undefined);
    writeFileSync(keys, lines.map((line) => `${line}\n`).join(""));
    writeFileSync(dump, relay.dump());
    const made = await runCommand("text2pcap", ["-D", "-T", "50000,853", dump, file]);
    assert.equal(made.code, 0, made.stderr);
    const namesWith = async (...more: string[]): Promise<string[]> =>
      (await fieldsOf(file, ["dns.qry.name"], ...more)).flat().filter((name) => name !== "");
    assert.deepEqual(await namesWith("-o", `tls.keylog_file:${keys}`), ["www.test", "www.test"]);
    assert.deepEqual(await namesWith(), []);
  },
);

/** Passes octets on and keeps them, as text2pcap reads them. */
async function startRelay(
  context: TestContext,
  port: number,
): Promise<{ readonly port: number; dump(): string }> {
  const chunks: string[] = [];
  const sockets: Socket[] = [];
  const keep = (direction: "O" | "I", octets: Buffer): void => {
    const rows = octets.toString("hex").match(/../g) ?? [];
    chunks.push(`${direction}\n000000 ${rows.join(" ")}\n`);
  };
  const server = createServer((client) => {
    const target = connect(port, "127.0.0.1");
    sockets.push(client, target);
    for (const socket of [client, target]) socket.on("error", () => undefined);
    client.on("data", (octets: Buffer) => {
      keep("O", octets);
      target.write(octets);
    });
    target.on("data", (octets: Buffer) => {
      keep("I", octets);
      client.write(octets);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return { port: address.port, dump: () => chunks.join("\n") };
}

/** Opcode 6 and nothing but a header. */
function isDsoRefusal({ octets = "" }: EvidenceStep): boolean {
  return octets.length === 24 && ((Number.parseInt(octets.slice(4, 6), 16) >> 3) & 0xf) === 6;
}

/** The examples run as they stand. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { nodeRuntime } from "@sotto/dns/runtime/node";
import { StreamService } from "@sotto/dns/transport";
import { encodeMessage, makeMessage, parseRecord, tryDecodeMessage } from "@sotto/dns/wire";
import { makeSelfSigned, spkiPin } from "../../packages/sotto/src/operations/index.ts";

const run = promisify(execFile);

test("examples/ask-over-tls.ts asks a server with the right key", async () => {
  const pair = await makeSelfSigned(["dns.example"], Date.now());
  const answers = [parseRecord("www.example. 300 IN A 192.0.2.1")];
  const service = await StreamService.open(
    { local: { address: "127.0.0.1", port: 0 }, tls: { ...pair, alpn: ["dot"], ticketKeys: undefined } },
    {
      answer(octets) {
        const query = tryDecodeMessage(octets);
        return query.ok
          ? encodeMessage(makeMessage({ ...query.value, isResponse: true, answers }))
          : undefined;
      },
    },
    nodeRuntime(),
  );
  const example = join(import.meta.dirname, "../../examples/ask-over-tls.ts");
  const args = ["--conditions=source", "--disable-warning=ExperimentalWarning", example];
  const { stdout } = await run(process.execPath, [
    ...args,
    "127.0.0.1",
    String(service.local.port),
    spkiPin(pair.certificatePem),
    "www.example.",
  ]);
  assert.match(stdout, /^www\.example\.\t300\tIN\tA\t192\.0\.2\.1\nauthenticated pin sha256:/);
  await service.close();
});

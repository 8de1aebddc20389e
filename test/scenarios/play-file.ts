/** One scenario from text to verdict, against the whole server behind the listeners. */
import { MessageCache } from "@sotto/dns/cache";
import type { Runtime } from "@sotto/dns/runtime";
import {
  playScenario,
  readAnchorFile,
  type Scenario,
  simRuntime,
  tryReadScenario,
  type Unmatched,
} from "@sotto/dns/testing";
import { rrTypeToText, tryDecodeMessage } from "@sotto/dns/wire";
import { buildEngine } from "../../packages/sotto/src/compose/recursor-daemon.ts";
import { type Config, loadConfig } from "../../packages/sotto/src/config/index.ts";
import { AnchorKeeper, AuthorityEncryption } from "../../packages/sotto/src/recursor/index.ts";
import { OutcomeTally } from "../../packages/sotto/src/server/index.ts";
import { scenarioConfig } from "./scenario-config.ts";

export interface FileResult {
  readonly kind: "passed" | "failed" | "unsupported";
  readonly problems: readonly string[];
  /** The queries that servers got, for people. */
  readonly trace: readonly string[];
}

function configuredAddresses({ resolver, stubZones, forwardZones }: Config): string[] {
  return [
    ...(resolver.rootHints ?? []).map(({ address }) => address),
    ...stubZones.flatMap(({ servers }) => servers.map(({ address }) => address)),
    ...forwardZones.flatMap(({ upstreams }) => upstreams.map(({ endpoint }) => endpoint.address)),
  ];
}

/** Follows the keys of a scenario's trust anchor files (RFC 5011); nothing is written. */
function keepAnchors(
  files: Scenario["anchorFiles"],
  { dnssec }: Config,
  { recursor }: ReturnType<typeof buildEngine>,
  runtime: Runtime,
): AnchorKeeper {
  const keeper = new AnchorKeeper(
    {
      anchors: dnssec.anchors,
      known: files.flatMap(({ text }) => readAnchorFile(text).known),
      policy: { sha1: dnssec.sha1, dsa: dnssec.dsa },
      skew: dnssec.skew,
      fetchKeys: (zone) => recursor.fetchKeys(zone),
      replace: (zone, anchor) => recursor.replaceAnchor(zone, anchor),
      save: () => Promise.resolve(),
    },
    runtime,
  );
  keeper.start();
  return keeper;
}

/** Reads and plays a scenario. */
export async function playFile(
  text: string,
  unmatched: Unmatched = "silence",
  isLoose = false,
): Promise<FileResult> {
  const scenario = tryReadScenario(text);
  if (!scenario.ok) return { kind: "unsupported", problems: [scenario.problem], trace: [] };
  const { file, unsupported } = scenarioConfig(scenario.value);
  if (unsupported.length > 0) return { kind: "unsupported", problems: unsupported, trace: [] };
  const loaded = loadConfig(JSON.stringify(file), "scenario");
  if (!loaded.ok)
    return {
      kind: "unsupported",
      problems: loaded.problems.map(({ path, message }) => `${path}: ${message}`),
      trace: [],
    };
  const world = simRuntime(1, { latencyMs: 5 });
  // Moments in files of trust anchors count from where testbound begins.
  const { anchorFiles } = scenario.value;
  if (anchorFiles.length > 0) world.clock.jumpWall(-world.clock.wallMs());
  const runtime = world.runtimeOf(["192.0.2.254", "2001:db8:ffff::254"]);
  const { config } = loaded;
  const cache = new MessageCache({ bytesMax: 1 << 20 }, world.random);
  const makeSubject = async () => {
    const engine = buildEngine(config, cache, {
      runtime,
      upstreamRuntime: runtime,
      drawnCookieSecret: new Uint8Array(16),
      outcomes: new OutcomeTally(),
      encryption: new AuthorityEncryption(runtime.clock),
    });
    const keeper = anchorFiles.length === 0 ? undefined : keepAnchors(anchorFiles, config, engine, runtime);
    const origin = (address: string) => ({
      transport: "tcp" as const,
      remote: { address, port: 4242 },
      local: undefined,
      security: undefined,
    });
    return {
      answer: async (query: Uint8Array, client: string) =>
        (
          await engine.service.answer(query, { origin: origin(client), keepaliveUnits: () => undefined })
        )?.slice(),
      anchorPoints: () => keeper?.points ?? [],
      close: async () => {
        await keeper?.close();
        await engine.recursor.close();
        await engine.exchanger.close();
      },
    };
  };
  const { problems, queries } = await playScenario(scenario.value, world, makeSubject, {
    unmatched,
    isLoose,
    // Servers are there even if no range has anything for them to say.
    moreAddresses: configuredAddresses(config),
  });
  const trace = queries.map(({ step, server, octets, isAnswered }) => {
    const query = tryDecodeMessage(octets);
    const question = query.ok ? query.value.questions[0] : undefined;
    const asked = question === undefined ? "?" : `${question.name} ${rrTypeToText(question.type)}`;
    return `step ${step} ${server} ${asked}${isAnswered ? "" : " (no answer)"}`;
  });
  for (const { server, question, outcome, elapsedMs, zone } of world.events.named("recursor.step"))
    trace.push(
      `step: ${String(server)} for ${String(zone)}: ${String(question)} → ${String(outcome)} ${String(elapsedMs)} ms`,
    );
  for (const { reason, text, question } of world.events.named("recursor.failed"))
    trace.push(`failed: ${String(question)}: ${String(reason)}: ${String(text)}`);
  for (const { errors, question } of world.events.named("recursor.bogus"))
    trace.push(`bogus: ${String(question)}: ${String(errors)}`);
  for (const { zone, why } of world.events.named("anchors.not-validated"))
    trace.push(`keys of ${String(zone)} not validated: ${JSON.stringify(why)}`);
  return { kind: problems.length === 0 ? "passed" : "failed", problems, trace };
}

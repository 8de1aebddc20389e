/**
 * A seeded mutation fuzzer for everything that reads what strangers send. `npm test` runs a part of it, CI=true all of
 * it; FUZZ_SEED chooses other mutants. What once failed is kept in `corpus/` and replayed every time.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { frameMessage, MessageView, octetsToHex, tryHexToOctets } from "@sotto/dns/wire";
import { faultOf, faultOfStream } from "./check-message.ts";
import { Dice, mutate } from "./mutate.ts";
import { seedOctets } from "./seeds.ts";

const SEED = Number(process.env["FUZZ_SEED"] ?? 20_261_123);
const MUTANTS = process.env["CI"] === "true" ? 1_000_000 : 200_000;

const corpusFolder = new URL("corpus/", import.meta.url);
const corpus = readdirSync(corpusFolder)
  .filter((file) => file.endsWith(".hex"))
  .sort()
  .map((file) => {
    const octets = tryHexToOctets(readFileSync(new URL(file, corpusFolder), "utf8").replace(/#.*|\s/g, ""));
    assert.ok(octets.ok, file);
    return { file, octets: octets.value };
  });

test("what once failed does not fail again", async (context) => {
  assert.ok(corpus.length > 0);
  for (const { file, octets } of corpus) {
    await context.test(file, () => assert.equal(faultOf(octets, new MessageView()), undefined));
  }
});

test(`${MUTANTS} mutants of messages are read or refused, and what is read is written back (seed ${SEED})`, () => {
  const dice = new Dice(SEED);
  const view = new MessageView();
  const seeds = [
    ...seedOctets,
    ...corpus.filter(({ octets }) => octets.length < 1000).map(({ octets }) => octets),
  ];
  for (let i = 0; i < MUTANTS; i++) {
    const octets = mutate(seeds, dice);
    const fault = faultOf(octets, view);
    assert.equal(fault, undefined, `mutant ${i}: save as corpus/NAME.hex: ${octetsToHex(octets)}`);
  }
});

test("streams of mutants are cut into the same messages in any segmentation [1035-4.2.2-a 7766-8-b]", () => {
  const dice = new Dice(SEED + 1);
  const streams = seedOctets.map((octets) => frameMessage(octets));
  for (let i = 0; i < MUTANTS / 20; i++) {
    const stream = mutate(streams, dice);
    const step = 1 + dice.roll(64);
    assert.equal(faultOfStream(stream, step), undefined, `step ${step}: ${octetsToHex(stream)}`);
  }
});

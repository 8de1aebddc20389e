/** Queries, rules and sets for the tests of this folder. */
import assert from "node:assert/strict";
import type { ChannelSecurity, PresentedCertificate, Runtime } from "@sotto/dns/runtime";
import { simRuntime } from "@sotto/dns/testing";
import type { QueryOrigin, Transport } from "@sotto/dns/transport";
import {
  type Edns,
  encodeMessage,
  type Message,
  MessageView,
  makeEdns,
  makeMessage,
  parseName,
  RRClass,
  RRType,
} from "@sotto/dns/wire";
import { addressSetOf } from "./address-list.ts";
import type { ClientGuard } from "./client-guard.ts";
import { type LoadedNames, loadNameSet, type NameListFormat } from "./name-list.ts";
import type { Action, Rule, Selector } from "./rule.ts";
import { type RuleCounters, RuleSet } from "./rule-set.ts";
import type { LoadedSet } from "./rule-sets.ts";
import type { PoolStates, RuleSubject } from "./verdict.ts";

export interface SubjectParts {
  readonly name?: string;
  readonly type?: number;
  readonly class?: number;
  readonly message?: Partial<Omit<Message, "edns">>;
  readonly edns?: Partial<Edns>;
  readonly address?: string;
  /** `https` is a transport, too. */
  readonly transport?: string;
  readonly security?: Partial<ChannelSecurity>;
  readonly verdict?: "allowed" | "denied";
  readonly listener?: string;
  readonly nowMs?: number;
  readonly wallMs?: number;
}

export function subjectOf(parts: SubjectParts = {}): RuleSubject {
  const octets = encodeMessage(
    makeMessage({
      id: 1,
      recursionDesired: true,
      questions: [
        {
          name: parseName(parts.name ?? "www.example."),
          type: parts.type ?? RRType.A,
          class: parts.class ?? RRClass.IN,
        },
      ],
      ...parts.message,
      edns: parts.edns === undefined ? undefined : makeEdns(parts.edns),
    }),
  );
  const view = new MessageView();
  assert.equal(view.reset(octets), undefined);
  const origin: QueryOrigin = {
    // The front has transports that the library learns of later.
    transport: (parts.transport ?? "udp") as Transport,
    remote: { address: parts.address ?? "192.0.2.1", port: 4711 },
    local: undefined,
    security: parts.security === undefined ? undefined : securityOf(parts.security),
    clientVerdict: parts.verdict,
  };
  return {
    view,
    origin,
    listener: parts.listener ?? "main",
    nowMs: parts.nowMs ?? 0,
    wallMs: parts.wallMs ?? 0,
  };
}

function securityOf(parts: Partial<ChannelSecurity>): ChannelSecurity {
  return {
    protocol: "TLSv1.3",
    cipher: "TLS_AES_128_GCM_SHA256",
    group: undefined,
    alpn: "dot",
    resumed: false,
    serverName: undefined,
    peerChain: [],
    chainProblem: undefined,
    ...parts,
  };
}

export function certificateOf(parts: Partial<PresentedCertificate> = {}): PresentedCertificate {
  return {
    der: new Uint8Array(0),
    spkiSha256: "A".repeat(43).concat("="),
    subject: "CN=client",
    issuer: "CN=authority",
    subjectAltNames: ["DNS:client.example"],
    notBeforeMs: 0,
    notAfterMs: 1e13,
    ...parts,
  };
}

export function runtimeOf(seed = 1): Runtime {
  return simRuntime(seed).runtimeOf(["127.0.0.1"]);
}

export interface RuleSetParts {
  readonly sets?: Readonly<Record<string, LoadedSet>>;
  readonly pools?: Partial<PoolStates>;
  readonly guard?: ClientGuard;
  readonly counted?: RuleCounters;
  readonly runtime?: Runtime;
}

export function ruleSetOf(rules: readonly Rule[], parts: RuleSetParts = {}): RuleSet {
  return new RuleSet(
    {
      rules,
      sets: new Map(Object.entries(parts.sets ?? {})),
      pools: { isDown: () => false, isSaturated: () => false, ...parts.pools },
      guard: parts.guard,
      counted: parts.counted,
    },
    parts.runtime ?? runtimeOf(),
  );
}

/** A rule that drops what all the selectors hold for. */
export function dropWhen(...when: Selector[]): Rule {
  return { name: "drops", when, actions: [{ kind: "drop" }] };
}

export function always(...actions: Action[]): Rule {
  return { name: "always", when: [], actions };
}

export function namesOf(text: string, format: NameListFormat = "domains"): LoadedNames {
  const loaded = loadNameSet(new TextEncoder().encode(text), { format, source: "list" }, runtimeOf().random);
  assert.ok(loaded.ok, loaded.ok ? "" : loaded.problem);
  return loaded.value;
}

export function addressesOf(...prefixes: string[]): LoadedSet {
  const loaded = addressSetOf(prefixes, "list");
  assert.ok(loaded.ok, loaded.ok ? "" : loaded.problem);
  return loaded.value;
}

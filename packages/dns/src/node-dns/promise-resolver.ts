/** `dns.promises.Resolver` over a channel. */
import { requireString, wrongValue } from "./argument-checks.ts";
import type { Channel } from "./channel.ts";
import { QUESTIONS, type Question, REVERSE, resolveRecords, reverseNames } from "./resolve.ts";

const BY_RRTYPE: ReadonlyMap<string, Question> = new Map(QUESTIONS.map((one) => [one.rrtype, one]));

/** The question of `resolve(name, rrtype)`. */
export function questionOf(rrtype: string): Question {
  const question = BY_RRTYPE.get(rrtype);
  if (question === undefined) throw wrongValue("rrtype", rrtype);
  return question;
}

export function wantsTtl(options: unknown): boolean {
  return typeof options === "object" && options !== null && "ttl" in options && Boolean(options.ttl);
}

/** What both kinds of resolver share: each call of Node's own that is about servers. */
export class ResolverBase {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  static channelOf(resolver: ResolverBase): Channel {
    return resolver.#channel;
  }

  /** Gives up what is under way with ECANCELLED. */
  cancel(): void {
    this.#channel.cancel();
  }

  getServers(): string[] {
    return this.#channel.getServers();
  }

  setServers(servers: unknown): void {
    this.#channel.setServers(servers);
  }

  setLocalAddress(ipv4: unknown, ipv6?: unknown): void {
    this.#channel.setLocalAddress(ipv4, ipv6);
  }
}

export class PromiseResolver extends ResolverBase {
  resolve(hostname: unknown, rrtype?: unknown): Promise<unknown> {
    if (rrtype !== undefined) requireString(rrtype, "rrtype");
    const question = questionOf(rrtype ?? "A");
    requireString(hostname, "name");
    return resolveRecords(ResolverBase.channelOf(this), question, hostname, false);
  }

  reverse(address: unknown): Promise<string[]> {
    requireString(address, "name");
    // What is no address is refused by a rejection, though callbacks have it thrown.
    return (async () => reverseNames(ResolverBase.channelOf(this), address))();
  }
}

Object.defineProperty(PromiseResolver.prototype.reverse, "name", { value: REVERSE });

for (const question of QUESTIONS) {
  const method = function (this: ResolverBase, name: unknown, options?: unknown): Promise<unknown> {
    requireString(name, "name");
    return resolveRecords(ResolverBase.channelOf(this), question, name, wantsTtl(options));
  };
  defineMethod(PromiseResolver.prototype, question, method);
}

/** As Node has them: named after the query, found when methods are listed. */
export function defineMethod(prototype: object, { method, syscall }: Question, value: object): void {
  Object.defineProperty(value, "name", { value: syscall });
  Object.defineProperty(prototype, method, { value, writable: true, configurable: true, enumerable: true });
}

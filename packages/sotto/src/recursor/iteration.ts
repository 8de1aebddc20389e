/**
 * One resolution as a state machine (RFC 1034 §5.3.3): look in the cache, find the closest zone cut, choose a server,
 * ask, read, and again with what was learnt. Each state says what is next; the loop counts what it costs.
 */
import { type RRset, Trust } from "@sotto/dns/cache";
import { DnsError, Stop } from "@sotto/dns/runtime";
import { type Message, Name, RRType } from "@sotto/dns/wire";
import { ATTEMPT_MS_MAX, makeAttempt, noteReply, patienceFor } from "./attempt.ts";
import { findInCache } from "./cache-lookup.ts";
import type { ConfiguredZone } from "./configured-zones.ts";
import { type Delegation, isStuck, zoneSideName } from "./delegation.ts";
import { askForwarder } from "./forwarding.ts";
import { type Arrival, type Attempt, Inquiry } from "./inquiry.ts";
import type { Sending, Shared, State } from "./iteration-state.ts";
import type { Work } from "./mesh.ts";
import { assertNever, type Outcome, type Sought } from "./outcome.ts";
import { keepOwnServers, widen } from "./own-servers.ts";
import { primingQuestion } from "./priming.ts";
import { QnameMinimisation } from "./qname-minimisation.ts";
import { ALIASES_MAX, DEPTH_MAX, PROOFS_MAX, REFERRALS_MAX } from "./quota.ts";
import { inheritAddresses, readGlue } from "./referral.ts";
import { asOf, putAside } from "./remaining-ttls.ts";
import { aliasTarget, type FoundRRset, lacksSignatures, type Scrubbed, scrub } from "./scrubber.ts";
import { ServerSelection } from "./server-selection.ts";
import { outcomeText, Trace } from "./trace.ts";
import { ZoneWork } from "./zone-work.ts";

export class Iteration {
  readonly #run: Work;
  readonly #shared: Shared;
  readonly #trace: Trace;
  readonly #chain: RRset[] = [];
  #namesSeen: Set<string> | undefined = undefined;
  #current: Name;
  #aliases = 0;
  #referrals = 0;
  #inquiry: Inquiry | undefined = undefined;
  #minimisation: QnameMinimisation;
  /** What the servers are asked now: the question, or a shorter name (RFC 9156). */
  #asked: Sought;
  /** Of what is forwarded. */
  #stop: Stop | undefined = undefined;
  #failedZones: ReadonlySet<ConfiguredZone> = NONE_FAILED;
  #isStopped = false;
  #settle: (outcome: Outcome) => void = () => undefined;
  #fail: (problem: unknown) => void = () => undefined;

  constructor(run: Work, shared: Shared) {
    this.#run = run;
    this.#shared = shared;
    this.#current = run.sought.name;
    this.#trace = new Trace(run, shared.runtime);
    this.#minimisation = this.#minimise();
    this.#asked = run.sought;
  }

  #minimise(): QnameMinimisation {
    const sought = { name: this.#current, type: this.#type };
    const { minimisation, rrsets } = this.#shared;
    return new QnameMinimisation(sought, minimisation, rrsets);
  }

  /** Resolves the question of the run. From a reply to the outcome there is nothing that waits for another turn. */
  resolve(): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
      this.#goOn(CACHE);
    });
  }

  #goOn(from: State): void {
    try {
      // Between states that follow each other at once no time goes by.
      let state = (from.kind === "done" ? undefined : this.#stopped()) ?? from;
      while (state.kind !== "done") {
        const next: Step = this.#step(state);
        // It goes on when something has come.
        if (next === undefined) return;
        if (next instanceof Promise) {
          next.then(
            (later) => this.#goOn(later),
            (bug: unknown) => this.#break(bug),
          );
          return;
        }
        state = next;
      }
      this.#inquiry?.close();
      this.#settle(state.outcome);
    } catch (bug) {
      this.#break(bug);
    }
  }

  #break(bug: unknown): void {
    this.#inquiry?.close();
    this.#fail(bug);
  }

  /** Ends the resolution soon, without an answer: the recursor is being closed. */
  stop(): void {
    this.#isStopped = true;
    this.#stop?.abort();
    this.#inquiry?.close();
  }

  /** Time is up or the recursor is being closed. */
  #stopped(): State | undefined {
    if (this.#isStopped) return this.#trace.failed("closed");
    if (this.#shared.runtime.clock.nowMs() >= this.#run.quota.deadlineMs)
      return this.#trace.failed("deadline");
    return undefined;
  }

  #step(state: Exclude<State, { kind: "done" }>): Step {
    switch (state.kind) {
      case "cache":
        return this.#lookInCache();
      case "locate":
        return this.#locate();
      case "forward":
        return this.#forward(state.zone);
      case "choose":
        return this.#choose(state.work);
      case "look up":
        return this.#lookUp(state.work, state.serverName);
      case "send":
        return this.#send(state.work, state.sending);
      case "wait":
        return this.#wait(state);
      case "waited":
        return this.#afterWait(state.work, state.attempt, state.arrival);
      case "read":
        return this.#read(state.work, state.arrival);
      default:
        return assertNever(state);
    }
  }

  get #type(): RRType {
    return this.#run.sought.type;
  }

  #lookInCache(): State {
    const { rrsets } = this.#shared;
    if (this.#run.avoid !== undefined) return { kind: "locate" };
    if (this.#type === RRType.DS) {
      const { ds } = this.#shared.delegations.findDs(this.#current);
      // What came with a referral is no answer (RFC 2181 §5.4.1), but a signature is as good as anywhere.
      const isUsable = ds !== undefined && this.#shared.isSigned({ zone: this.#current, servers: [], ds });
      if (isUsable && ds.signatures.length > 0) return this.#answer([], [ds]);
    }
    const cached = findInCache(rrsets, this.#current, this.#type, this.#shared.hasNxdomainCut(this.#current));
    switch (cached?.kind) {
      case "answer":
        return this.#answer(cached.before, cached.rrsets);
      case "negative":
        return { kind: "done", outcome: { kind: "negative", chain: this.#chain, answer: cached.answer } };
      case "alias":
        return this.#follow(cached.chain, aliasTarget(cached.alias));
      default:
        return this.#synthesize() ?? { kind: "locate" };
    }
  }

  /** What denial records say that came with other answers (RFC 8198). */
  #synthesize(): State | undefined {
    const found = this.#shared.denials?.find(this.#current, this.#type);
    if (found === undefined) return undefined;
    switch (found.kind) {
      case "answer":
        return this.#answer([], [found.rrset]);
      case "alias":
        return this.#follow([found.rrset], aliasTarget(found.rrset));
      default:
        return { kind: "done", outcome: { kind: "negative", chain: this.#chain, answer: found.answer } };
    }
  }

  #locate(): State {
    const { delegations, roots, mesh, configured } = this.#shared;
    const side = zoneSideName({ name: this.#current, type: this.#type });
    const zone = configured.closest(side, this.#failedZones);
    if (zone?.kind === "forward") return { kind: "forward", zone };
    const found = delegations.findClosest(side, this.#run.leewayMs);
    const isForServers = found !== undefined && isStuck(found, side, this.#run.depth);
    const cut = isForServers ? delegations.findClosest(found.zone.parent()) : found;
    // What was learnt below a configured zone is nearer; what was learnt above it or at it does not count.
    if (zone !== undefined) return this.#begin(cut?.zone.isBelow(zone.name) === true ? cut : zone.delegation);
    const known = cut ?? roots.primed;
    if (known !== undefined) return this.#begin(known);
    // Nobody waits for priming: hints are good for a question, too (RFC 9609 §3 leaves the order open).
    const isPriming = isRootNs({ name: this.#current, type: this.#type });
    if (!isPriming) mesh.prime(primingQuestion);
    return this.#begin(roots.hints);
  }

  /** Asks whoever is configured for everything below a name. */
  async #forward(zone: ConfiguredZone & { kind: "forward" }): Promise<State> {
    const { quota } = this.#run;
    if (!quota.takeQuery()) return this.#trace.failed("quota");
    const sought = { name: this.#current, type: this.#type };
    this.#stop ??= new Stop();
    const context = { deadlineMs: quota.deadlineMs, signal: this.#stop };
    const said = await askForwarder(zone, sought, context, this.#shared);
    if (said.kind === "failed") {
      this.#trace.noteNetworkFailure(said.problem);
      const reason = zone.patienceMs > 0 ? "no reachable forwarder" : "no reachable authority";
      return this.#fallBack(zone) ?? this.#trace.failed(reason, zone.name);
    }
    const { scrubbed, extendedErrors } = said;
    const outcome = this.#useAnswer(scrubbed);
    if (outcome !== undefined) return outcome;
    if (scrubbed.kind === "empty")
      return { kind: "done", outcome: { kind: "negative", chain: this.#chain, answer: scrubbed.answer } };
    this.#trace.noteBadReply("reason" in scrubbed ? scrubbed.reason : scrubbed.kind);
    return this.#fallBack(zone) ?? this.#trace.failed("no reachable authority", zone.name, extendedErrors);
  }

  /** Goes on without the servers of a configured zone, when the configuration allows that. */
  #fallBack(zone: ConfiguredZone | undefined): State | undefined {
    if (zone?.fallsBack !== true) return undefined;
    this.#failedZones = new Set([...this.#failedZones, zone]);
    return { kind: "locate" };
  }

  /** `knownLabels`: names of so many labels are known to lie in the zone. */
  #begin(delegation: Delegation, knownLabels = 0): State {
    const { families, infra, runtime, exchange, asking, patience } = this.#shared;
    this.#inquiry?.close();
    const selection = new ServerSelection(
      delegation,
      families,
      infra,
      runtime.random,
      this.#run.avoid ?? NOBODY,
    );
    const inquiry = new Inquiry(exchange, asking, patience);
    this.#inquiry = inquiry;
    this.#asked = this.#minimisation.next(delegation.zone, knownLabels);
    return { kind: "choose", work: new ZoneWork(selection, inquiry) };
  }

  #choose(work: ZoneWork): State {
    const nowMs = this.#shared.runtime.clock.nowMs();
    // With nothing under way there is nothing to be patient for.
    const choice = work.selection.choose(work.isOpen ? nowMs : Number.POSITIVE_INFINITY);
    const isFresh =
      choice.kind === "look up" || (choice.kind === "ask" && choice.candidate.state === "fresh");
    // Servers that do not like shorter names may still know the whole one: nobody waits for them to say so.
    if (!isFresh && !this.#minimisation.isWhole(this.#asked) && !this.#minimisation.isStrict) {
      if (!this.#minimisation.tryOtherType()) this.#minimisation.giveUp();
      return this.#begin(work.selection.delegation);
    }
    switch (choice.kind) {
      case "ask":
        return { kind: "send", work, sending: { ...choice, transport: "udp" } };
      case "look up":
        return { kind: "look up", work, serverName: choice.serverName };
      case "wait":
      case "exhausted":
        if (work.isOpen) {
          const patienceMs = choice.kind === "wait" ? choice.untilMs - nowMs : ATTEMPT_MS_MAX;
          return { kind: "wait", work, attempt: undefined, patienceMs };
        }
        if (widen(work, this.#shared)) return { kind: "choose", work };
        if (work.lastResort !== undefined) return this.#useLastResort(work.lastResort);
        return this.#nobody(work.selection.delegation);
      default:
        return assertNever(choice);
    }
  }

  #nobody(delegation: Delegation): State {
    const zone = this.#shared.configured.closest(delegation.zone, this.#failedZones);
    const isConfigured = zone?.kind === "stub" && zone.delegation === delegation;
    const otherwise = isConfigured ? this.#fallBack(zone) : undefined;
    return otherwise ?? this.#trace.failed("no reachable authority", delegation.zone);
  }

  /** Finds addresses of a server, while replies of servers asked before are still welcome. */
  async #lookUp(work: ZoneWork, serverName: Name): Promise<State> {
    const { rrsets, mesh, families } = this.#shared;
    const types = families.map((family) => (family === "ipv4" ? RRType.A : RRType.AAAA));
    const known = types.flatMap((type) => {
      const rrset = rrsets.find(serverName, type);
      return rrset === undefined ? [] : this.#shared.addressesOf(rrset);
    });
    if (work.selection.addAddresses(serverName, known) && work.selection.hasFresh)
      return { kind: "choose", work };
    if (!this.#run.quota.takeAddressFetch()) {
      this.#trace.noteStarved();
      return { kind: "choose", work };
    }
    const lookUps = types.map(async (type) => {
      const outcome = await mesh.askFor(this.#run, { name: serverName, type }, DEPTH_MAX);
      const isStarved = outcome === undefined || (outcome.kind === "failed" && outcome.isCircumstantial);
      if (isStarved) this.#trace.noteStarved();
      const found = outcome?.kind === "answer" ? outcome.rrsets.flatMap(this.#shared.addressesOf) : [];
      if (!work.selection.addAddresses(serverName, found)) throw new NoAddress();
    });
    const patienceMs = Math.min(LOOK_UP_PATIENCE_MS, this.#remainingMs());
    const arrival = await work.waitForAddress(lookUps, patienceMs);
    return arrival === undefined ? { kind: "choose", work } : { kind: "read", work, arrival };
  }

  #send(work: ZoneWork, sending: Sending): State {
    if (!this.#run.quota.takeQuery()) return this.#trace.failed("quota");
    const nowMs = this.#shared.runtime.clock.nowMs();
    const attempt = makeAttempt(sending, this.#asked, nowMs, this.#run.quota.deadlineMs);
    work.inquiry.start(attempt);
    const patienceMs = patienceFor(attempt, this.#shared.infra);
    return { kind: "wait", work, attempt, patienceMs };
  }

  #wait({ work, attempt, patienceMs }: State & { kind: "wait" }): Step {
    const waitMs = Math.min(patienceMs, this.#remainingMs());
    if (attempt === undefined && work.looksUp)
      return work.waitForAnything(waitMs).then((arrival) => this.#afterWait(work, attempt, arrival));
    const ready = work.inquiry.take();
    const waits =
      ready === undefined &&
      work.inquiry.await(waitMs, (arrival) => this.#goOn({ kind: "waited", work, attempt, arrival }));
    return waits ? undefined : this.#afterWait(work, attempt, ready);
  }

  #afterWait(work: ZoneWork, attempt: Attempt | undefined, arrival: Arrival | undefined): State {
    if (arrival !== undefined) return { kind: "read", work, arrival };
    if (attempt !== undefined) {
      if (attempt.transport === "udp") this.#shared.infra.noteSilence(attempt.candidate.address);
      this.#trace.step(work.selection.delegation.zone, attempt, "no reply yet");
    }
    return { kind: "choose", work };
  }

  #read(work: ZoneWork, arrival: Arrival): State | Promise<State> {
    const { attempt } = arrival;
    if (arrival.kind === "failure") return this.#readFailure(work, attempt, arrival.problem);
    noteReply(this.#shared.infra, attempt, arrival.result);
    const { delegation } = work.selection;
    const { zone } = delegation;
    const { admit, trustsAllGlue, isSigned } = this.#shared;
    const message = admit(arrival.result.message, delegation);
    if (message.isTruncated) {
      this.#trace.step(zone, attempt, "truncated");
      if (attempt.transport === "udp")
        return { kind: "send", work, sending: { ...attempt, transport: "tcp" } };
      return this.#giveUp(work, attempt, "truncated reply over TCP");
    }
    const sought = { name: attempt.question.name, type: attempt.question.type };
    keepOwnServers(message, zone, this.#shared);
    const { recursionDesired } = attempt;
    const isCurtailed = message !== arrival.result.message;
    const asked = {
      sought,
      zone,
      recursionDesired,
      trustsAllGlue,
      isCurtailed,
      isSigned: isSigned(delegation),
    };
    const scrubbed = scrub(message, asked);
    this.#trace.step(zone, attempt, outcomeText(scrubbed));
    if (!this.#minimisation.isWhole(sought)) {
      const next = this.#useMinimised(work, attempt, scrubbed);
      if (next !== undefined) return next;
    }
    if (scrubbed.kind === "answer" && isRootNs(sought)) this.#learnRoot(message, scrubbed.rrsets[0]?.rrset);
    return this.#use(work, attempt, scrubbed, message.edns !== undefined);
  }

  /** The answer to the priming question tells who serves the root, whoever asked it. */
  #learnRoot(message: Message, ns: RRset | undefined): void {
    if (ns === undefined) return;
    this.#shared.roots.learn(readGlue(message, ns, Name.root).servers, ns.ttlSeconds);
  }

  /** What a reply to a shorter question is good for; undefined when it is like any other reply. */
  #useMinimised(work: ZoneWork, attempt: Attempt, scrubbed: Scrubbed): State | undefined {
    const { delegation } = work.selection;
    const { name, type } = attempt.question;
    switch (scrubbed.kind) {
      case "negative":
        if (scrubbed.answer.kind === "nodata") this.#shared.rrsets.storeNegative(name, type, scrubbed.answer);
        // Some servers say NXDOMAIN where only deeper names exist, so it is believed in strict mode, and when it comes with
        // proofs that validation will look at (RFC 9156 §2.3, RFC 8020).
        else if (!this.#minimisation.isStrict && scrubbed.answer.proofs.length === 0)
          this.#minimisation.giveUp();
        else return undefined;
        return this.#begin(delegation, name.labelCount);
      case "answer":
      case "alias":
      case "empty":
        return this.#begin(delegation, name.labelCount);
      case "overflow":
      case "broken":
        if (this.#minimisation.isStrict) return undefined;
        this.#minimisation.giveUp();
        return this.#begin(delegation);
      case "referral":
      case "lame":
      case "no edns":
      case "child side":
        return undefined;
      default:
        return assertNever(scrubbed);
    }
  }

  /** Goes on with what a reply says. */
  #use(work: ZoneWork, attempt: Attempt, scrubbed: Scrubbed, hasEdns: boolean): State | Promise<State> {
    const { infra, delegations } = this.#shared;
    const { zone } = work.selection.delegation;
    const { candidate } = attempt;
    this.#run.sources ??= new Set();
    this.#run.sources.add(candidate.address);
    switch (scrubbed.kind) {
      case "child side":
        return this.#locateParent(work, attempt);
      case "answer":
      case "alias":
      case "overflow":
      case "negative":
        // A server that does not speak DNSSEC for a signed zone is asked only when no other does.
        if (this.#shared.isSigned(work.selection.delegation) && lacksSignatures(scrubbed)) {
          work.lastResort ??= putAside(scrubbed, this.#shared.runtime);
          return this.#giveUp(work, attempt, "unsigned reply of a signed zone");
        }
        return this.#useAnswer(scrubbed) ?? { kind: "choose", work };
      case "referral": {
        const { ttlSeconds } = scrubbed.referral;
        const delegation = inheritAddresses(scrubbed.referral.delegation, work.selection.delegation);
        delegations.store(delegation, ttlSeconds, work.selection.delegation.zone);
        if (++this.#referrals > REFERRALS_MAX) return this.#trace.failed("quota");
        return this.#begin(delegation);
      }
      case "lame":
        infra.noteLame(candidate.address, zone, scrubbed.lameness);
        // It is asked again, with RD, when nobody else knows.
        if (scrubbed.lameness !== "recursive") return this.#giveUp(work, attempt, scrubbed.reason);
        candidate.state = attempt.recursionDesired ? "out" : "fresh";
        return { kind: "choose", work };
      case "no edns":
        if (!attempt.withEdns) return this.#giveUp(work, attempt, scrubbed.reason);
        // A server that sends an OPT knows EDNS and means something else; it is asked plainly this once only.
        if (!hasEdns) infra.noteEdns(candidate.address, "none");
        return { kind: "send", work, sending: { ...attempt, withEdns: false } };
      case "empty":
        // A server of child and grandparent may say nothing about a DS that only the zone between them knows.
        if (
          this.#type === RRType.DS &&
          attempt.question.type === RRType.DS &&
          work.lastResort === undefined
        ) {
          work.lastResort = scrubbed;
          return this.#locateParent(work, attempt);
        }
        work.lastResort ??= putAside(scrubbed, this.#shared.runtime);
        return this.#giveUp(work, attempt, "empty reply without authority");
      case "broken":
        return this.#giveUp(work, attempt, scrubbed.reason);
      default:
        return assertNever(scrubbed);
    }
  }

  /** Nobody knew better. */
  #useLastResort(scrubbed: Scrubbed): State {
    if (scrubbed.kind !== "empty")
      return this.#useAnswer(scrubbed) ?? this.#trace.failed("no reachable authority");
    this.#shared.rrsets.storeEmpty(this.#current, this.#type, scrubbed.answer);
    return { kind: "done", outcome: { kind: "negative", chain: this.#chain, answer: scrubbed.answer } };
  }

  /**
   * Asks the zone above who serves the name's parent: one server may serve a zone and its grandparent, so that no referral
   * told of the zone between them.
   */
  async #locateParent(work: ZoneWork, attempt: Attempt): Promise<State> {
    const { zone } = work.selection.delegation;
    for (let name = this.#current.parent(); name.isBelow(zone); name = name.parent()) {
      const outcome = await this.#shared.mesh.askFor(this.#run, { name, type: RRType.NS }, DEPTH_MAX);
      const cut = this.#shared.delegations.find(name);
      if (cut !== undefined) return this.#begin(cut);
      const ns =
        outcome?.kind === "answer" ? outcome.rrsets.find(({ type }) => type === RRType.NS) : undefined;
      if (ns === undefined) continue;
      const servers = ns.rdatas.map((rdata) => ({ name: new Name(rdata), addresses: [] }));
      if (++this.#referrals > REFERRALS_MAX) return this.#trace.failed("quota");
      return this.#begin({ zone: name, servers });
    }
    return this.#giveUp(work, attempt, "answers for the child's side of the cut");
  }

  /** What answers the question, or a part of it; undefined for everything else. */
  #useAnswer(scrubbed: Scrubbed): State | undefined {
    this.#keepProofs(scrubbed);
    switch (scrubbed.kind) {
      case "answer":
        return this.#answer(this.#keep(scrubbed.chain), this.#keep(scrubbed.rrsets));
      case "alias":
        return this.#follow(this.#keep(scrubbed.chain), scrubbed.target);
      case "overflow":
        this.#chain.push(...asOf(this.#shared.runtime, this.#keep(scrubbed.chain)));
        return { kind: "done", outcome: { kind: "overflow", chain: this.#chain } };
      case "negative": {
        const answer = this.#shared.rrsets.storeNegative(this.#current, this.#type, scrubbed.answer);
        return { kind: "done", outcome: { kind: "negative", chain: this.#chain, answer } };
      }
      default:
        return undefined;
    }
  }

  #readFailure(work: ZoneWork, attempt: Attempt, problem: DnsError): State {
    const { zone } = work.selection.delegation;
    const isSilence = DnsError.is(problem, "ERR_TIMEOUT");
    // Limits of our own say nothing about the server; a silence has been noted when patience ended.
    const isServers = !isSilence && !DnsError.is(problem, "ERR_QUOTA_EXCEEDED");
    if (isServers) this.#shared.infra.noteSilence(attempt.candidate.address);
    this.#trace.step(zone, attempt, isSilence ? "timeout" : "unreachable");
    this.#trace.noteFailure(attempt, problem.message, "network");
    // After a silence the server may still be asked without EDNS.
    if (!isSilence || attempt.transport === "tcp") attempt.candidate.state = "out";
    return { kind: "choose", work };
  }

  #giveUp(work: ZoneWork, attempt: Attempt, reason: string): State {
    attempt.candidate.state = "out";
    this.#trace.noteFailure(attempt, reason, "reply");
    return { kind: "choose", work };
  }

  /** An NSEC may also deny a DS at its owner, which saves asking for it; validation decides what it is worth. */
  #keepProofs(scrubbed: Scrubbed): void {
    const proofs =
      scrubbed.kind === "negative" ? scrubbed.answer.proofs : "proofs" in scrubbed ? scrubbed.proofs : [];
    this.#run.proofs.push(...proofs.slice(0, PROOFS_MAX - this.#run.proofs.length));
    for (const proof of proofs)
      if (proof.type === RRType.NSEC) this.#shared.rrsets.store(proof, Trust.Referral);
  }

  /** Stores sets and gives what the cache believes, in the same order. */
  #keep(found: readonly FoundRRset[]): RRset[] {
    return found.map(({ rrset, trust }) => {
      // Signatures belong beside what they sign; what ANY brings may be made up (RFC 8482 §4.2).
      if (rrset.type === RRType.RRSIG || this.#type === RRType.ANY) return rrset;
      // What is fetched past the cache must not be replaced by what is there; validation puts it in its place.
      const kept = this.#shared.rrsets.store(rrset, trust);
      return this.#run.avoid === undefined ? kept : rrset;
    });
  }

  #answer(before: readonly RRset[], rrsets: readonly RRset[]): State {
    const chain = [...this.#chain, ...asOf(this.#shared.runtime, before)];
    return { kind: "done", outcome: { kind: "answer", chain, rrsets: asOf(this.#shared.runtime, rrsets) } };
  }

  #follow(chain: readonly RRset[], target: Name): State {
    this.#chain.push(...asOf(this.#shared.runtime, chain));
    const links = chain.filter((rrset) => rrset.type === RRType.CNAME);
    this.#aliases += links.length;
    const [link] = links;
    // A DNAME may make a name an alias of itself: there is nothing else to say.
    if (links.length === 1 && link?.synthesizedFrom !== undefined && link.owner.equals(target))
      return { kind: "done", outcome: { kind: "answer", chain: this.#chain, rrsets: [] } };
    this.#namesSeen ??= new Set([this.#current.key]);
    const namesSeen = this.#namesSeen;
    if (namesSeen.has(target.key) || this.#aliases > ALIASES_MAX) return this.#trace.failed("alias loop");
    // A name inside the chain may come again as a target later: that is a loop, too.
    for (const link of links) namesSeen.add(link.owner.key);
    namesSeen.add(target.key);
    this.#current = target;
    this.#minimisation = this.#minimise();
    return { kind: "cache" };
  }

  #remainingMs(): number {
    return Math.max(0, this.#run.quota.deadlineMs - this.#shared.runtime.clock.nowMs());
  }
}

/** What comes next; undefined: it goes on by itself. */
type Step = State | Promise<State> | undefined;

const CACHE: State = { kind: "cache" };
const NOBODY: ReadonlySet<string> = new Set();
const NONE_FAILED: ReadonlySet<ConfiguredZone> = new Set();

/** Thrown inside one look-up so that the other family is waited for; never leaves this file. */
class NoAddress extends Error {}

function isRootNs(sought: Sought): boolean {
  return sought.type === primingQuestion.type && sought.name.isRoot;
}

/** An honest address comes within two or three round trips; then the next server is looked up as well. */
const LOOK_UP_PATIENCE_MS = 1000;

/** What is known of one query while the rules are walked: one object for all queries. */
import type { MessageView } from "@sotto/dns/wire";
import { ClientAddresses } from "./client-prefix.ts";
import type { ListPolicy } from "./list-policy.ts";
import type { RuleSubject } from "./verdict.ts";

/** See the head of this file. */
export class Walk {
  #subject: RuleSubject | undefined = undefined;
  /** Nothing is counted, and chance is not asked. */
  isTrial = false;
  /** Octets of the client's address, none when there is no client. */
  client: Uint8Array = NOTHING;
  /** Set by the rules so far. */
  tags: readonly string[] = NO_TAGS;
  /** What the list says in which the name was found last, and which list that is. */
  policy: ListPolicy = UNLISTED;
  list = "";
  readonly #addresses = new ClientAddresses();

  begin(subject: RuleSubject, isTrial: boolean): void {
    this.#subject = subject;
    this.isTrial = isTrial;
    this.tags = NO_TAGS;
    this.policy = UNLISTED;
    const { remote } = subject.origin;
    this.client = remote === undefined ? NOTHING : this.#addresses.octetsOf(remote.address);
  }

  /** What earlier rules found in lists is theirs. */
  beginRule(): void {
    this.policy = UNLISTED;
  }

  get subject(): RuleSubject {
    if (this.#subject === undefined) throw new Error("no query has been begun");
    return this.#subject;
  }

  get view(): MessageView {
    return this.subject.view;
  }

  /** For people. */
  get clientText(): string {
    return this.subject.origin.remote?.address ?? "nobody";
  }

  addTag(tag: string): void {
    if (!this.tags.includes(tag)) this.tags = [...this.tags, tag];
  }
}

const NOTHING = new Uint8Array(0);
const NO_TAGS: readonly string[] = [];
/** A name that is in no list. */
const UNLISTED: ListPolicy = { kind: "none" };

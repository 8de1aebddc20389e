/** Questions that the stub asks for itself, as upstreams take them. */
import type { AskedQuestion, Query } from "@sotto/dns/transport";
import {
  encodeQuery,
  MessageView,
  makeEdns,
  type Name,
  type Question,
  RRClass,
  type RRType,
} from "@sotto/dns/wire";

export function queryOf(name: Name, type: RRType, dnssecOk: boolean, checkingDisabled: boolean): Query {
  return new InternalQuery(name, type, dnssecOk, checkingDisabled);
}

/** Its octets are made when somebody wants them: whoever sends it makes others, with options of his own. */
class InternalQuery implements Query, AskedQuestion {
  readonly question: Question;
  readonly recursionDesired = true;
  readonly checkingDisabled: boolean;
  readonly authenticData = false;
  readonly dnssecOk: boolean;
  #view: MessageView | undefined = undefined;

  constructor(name: Name, type: RRType, dnssecOk: boolean, checkingDisabled: boolean) {
    this.question = { name, type, class: RRClass.IN };
    this.dnssecOk = dnssecOk;
    this.checkingDisabled = checkingDisabled;
  }

  get asked(): AskedQuestion {
    return this;
  }

  get origin(): Query["origin"] {
    return ORIGIN;
  }

  get octets(): Uint8Array {
    return this.view.octets;
  }

  get view(): MessageView {
    if (this.#view === undefined) {
      this.#view = new MessageView();
      this.#view.reset(
        encodeQuery({
          question: this.question,
          recursionDesired: this.recursionDesired,
          checkingDisabled: this.checkingDisabled,
          authenticData: this.authenticData,
          edns: this.dnssecOk ? WITH_DNSSEC : WITHOUT_DNSSEC,
        }),
        this.question.name,
      );
    }
    return this.#view;
  }
}

const WITH_DNSSEC = makeEdns({ dnssecOk: true });
const WITHOUT_DNSSEC = makeEdns();
const ORIGIN = { transport: "internal", remote: undefined, local: undefined, security: undefined } as const;

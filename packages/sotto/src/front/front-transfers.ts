/**
 * Zone transfers through the front end: each on a backend connection of its own, message by message, no faster than the client
 * takes them. Who may have a zone is a list of its own: it is everything that its owner knows.
 */
import { DnsError, type Runtime } from "@sotto/dns/runtime";
import type { AnswerParts, QueryChannel } from "@sotto/dns/transport";
import {
  HEADER_OCTETS,
  type MessageView,
  OPT_FIXED_OCTETS,
  patchId,
  setUint16,
  uint16At,
} from "@sotto/dns/wire";
import { AccessList } from "../server/index.ts";
import type { BackendPool } from "./backends/index.ts";

export class FrontTransfers {
  readonly #access: AccessList;
  readonly #runtime: Runtime;

  /** `from`: prefixes, as text. */
  constructor(from: readonly string[], runtime: Runtime) {
    this.#access = new AccessList({ allow: from, deny: [], action: "refuse" });
    this.#runtime = runtime;
  }

  /** A transfer is for clients of the list, over TCP and TLS. */
  mayHave({ origin, parts }: QueryChannel): boolean {
    return parts !== undefined && origin.remote !== undefined && this.#access.allows(origin.remote.address);
  }

  /** Passes a transfer on; gives its last message. Rejects with a DnsError when it could not be had, or not to its end. */
  pass(
    backends: Pick<BackendPool, "openTransfer">,
    view: MessageView,
    { origin, parts }: QueryChannel,
  ): Promise<Uint8Array> {
    const { id } = view;
    return new Promise((resolve, reject) => {
      let last: Uint8Array | undefined;
      const transfer = backends.openTransfer(
        {
          octets: queryOf(view),
          question: view.question,
          deadlineMs: this.#runtime.clock.nowMs() + TRANSFER_MS_MAX,
          client: origin.remote,
          local: origin.local,
        },
        {
          onMessage: (octets) => {
            patchId(octets, 0, id);
            const before = last;
            last = octets;
            if (before !== undefined && parts?.sendPart(before) === false) waitFor(parts);
          },
          onEnd: (problem) => {
            if (problem === undefined && last !== undefined) resolve(last);
            else reject(problem ?? new DnsError("ERR_REPLY_UNUSABLE", "a transfer without a message"));
          },
          onCancelled: () => reject(new DnsError("ERR_ABORTED", "the client of the transfer has gone")),
        },
      );
      if (transfer === undefined) {
        reject(new DnsError("ERR_QUOTA_EXCEEDED", "no backend can be asked for a transfer now"));
        return;
      }
      const waitFor = (room: AnswerParts): void => {
        transfer.pause();
        room.whenRoom((isThere) => (isThere ? transfer.resume() : transfer.cancel()));
      };
    });
  }
}

/**
 * The query as the client sent it: a signature (TSIG) would not fit another one. Only what is between neighbours is taken out where
 * nothing is signed.
 */
function queryOf({ octets, optOffset, additionalCount }: MessageView): Uint8Array {
  const isLast =
    optOffset >= 0 &&
    optOffset + OPT_FIXED_OCTETS + uint16At(octets, optOffset + OPT_FIXED_OCTETS - 2) === octets.length;
  if (!isLast) return octets.slice();
  const copy = octets.slice(0, optOffset);
  setUint16(copy, HEADER_OCTETS - 2, additionalCount - 1);
  return copy;
}

/** As long as the largest zones take over slow lines. */
const TRANSFER_MS_MAX = 1_800_000;

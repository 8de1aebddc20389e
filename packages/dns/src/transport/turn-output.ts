/**
 * The framed replies of one turn of one connection, gathered so that they leave in one write (RFC 7766 §8). A few small
 * replies lie in memory that all connections cut their pieces from, because a typed array of its own for each would cost
 * as much as finding the reply; many get memory of their own. What was given away is never written to again.
 */
import { FRAME_PREFIX_OCTETS, setUint16 } from "@sotto/dns/wire";

/** See the head of this file. */
export class TurnOutput {
  /** Octets of all replies with their lengths, but for those that {@link gather} has yet to append. */
  octets = 0;
  /** Where the last reply begins. */
  lastAt = 0;
  #memory: Uint8Array = NOTHING;
  #start = 0;
  /** The memory is, or was, the common one: what lies behind our octets may be another connection's. */
  #isCommon = false;
  #later: Uint8Array[] = [];
  #laterOctets = 0;

  /** Octets of all replies with their lengths. */
  get heldOctets(): number {
    return this.octets + this.#laterOctets;
  }

  /**
   * Keeps a reply in octets of its own until {@link gather}: between such replies come those of other connections, and each turn shall
   * be in one piece.
   */
  keep(reply: Uint8Array): void {
    this.#later.push(reply);
    this.#laterOctets += FRAME_PREFIX_OCTETS + reply.length;
  }

  /** Appends what was kept. */
  gather(): void {
    if (this.#laterOctets === 0) return;
    const later = this.#later;
    this.#later = [];
    this.#laterOctets = 0;
    for (const reply of later) this.append(reply);
  }

  /** Copies a reply, which may be a view of a buffer that is used again, behind its length. */
  append(reply: Uint8Array): void {
    const before = this.octets;
    const after = before + FRAME_PREFIX_OCTETS + reply.length;
    if (!this.#extend(after)) this.#grow(after);
    const at = this.#start + before;
    setUint16(this.#memory, at, reply.length);
    this.#memory.set(reply, at + FRAME_PREFIX_OCTETS);
    this.lastAt = before;
    this.octets = after;
  }

  /** Octets of the turn from one place to another; valid also after {@link clear}. */
  view(from: number, to: number): Uint8Array {
    return this.#memory.subarray(this.#start + from, this.#start + to);
  }

  /** The next turn gets other memory. */
  clear(): void {
    this.#memory = NOTHING;
    this.#start = 0;
    this.#isCommon = false;
    this.octets = 0;
    this.lastAt = 0;
    if (this.#laterOctets === 0) return;
    this.#later = [];
    this.#laterOctets = 0;
  }

  /** True when there is room for so many octets now. */
  #extend(octets: number): boolean {
    if (this.octets === 0) {
      if (octets > shared.memory.length - shared.used) {
        if (octets > SHARED_OCTETS / 4) return false;
        shared.memory = new Uint8Array(SHARED_OCTETS);
        shared.used = 0;
      }
      this.#memory = shared.memory;
      this.#start = shared.used;
      this.#isCommon = true;
      shared.used += octets;
      return true;
    }
    if (!this.#isCommon) return this.#start + octets <= this.#memory.length;
    // In the common memory, as long as it is that and nobody has begun behind us.
    if (
      this.#memory !== shared.memory ||
      this.#start + this.octets !== shared.used ||
      this.#start + octets > shared.memory.length
    )
      return false;
    shared.used = this.#start + octets;
    return true;
  }

  #grow(octets: number): void {
    const grown = new Uint8Array(this.octets === 0 ? octets : Math.max(2 * octets, OWN_OCTETS_MIN));
    grown.set(this.view(0, this.octets));
    this.#memory = grown;
    this.#start = 0;
    this.#isCommon = false;
  }
}

const NOTHING = new Uint8Array(0);
/** What one unsent reply may keep alive; a hundred small replies before a new one is needed. */
const SHARED_OCTETS = 16_384;
/** A turn that outgrows the common memory has many replies more: a chunk holds some hundred queries. */
const OWN_OCTETS_MIN = 32_768;
/** Of this thread. Octets before `used` belong to somebody. */
const shared = { memory: NOTHING, used: 0 };

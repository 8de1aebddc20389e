/** Waits for sockets: one epoll set, whose events carry the place of a connection in a table. */
import {
  allocate,
  c,
  EPOLL_CTL_ADD,
  EPOLL_CTL_MOD,
  EPOLL_EVENT_DATA_AT,
  EPOLL_EVENT_OCTETS,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
} from "./c-calls.ts";

/** One set for the process; a closed descriptor leaves it by itself. */
export class Poller {
  readonly #set = c.epoll_create1(0);
  readonly #one = allocate(EPOLL_EVENT_OCTETS);
  readonly #many = allocate(EPOLL_EVENT_OCTETS * EVENTS_MAX);

  /** Adds a descriptor, for reading and writing. */
  add(fd: number, place: number): void {
    this.#control(EPOLL_CTL_ADD, fd, place, true);
  }

  /** Whether room for writing matters. */
  change(fd: number, place: number, wantsWrite: boolean): void {
    this.#control(EPOLL_CTL_MOD, fd, place, wantsWrite);
  }

  /** Calls `each` with the events of what is ready after at most so many whole milliseconds. */
  wait(timeoutMs: number, each: (place: number, events: number) => void): void {
    const count = c.epoll_wait(this.#set, this.#many.pointer, EVENTS_MAX, timeoutMs);
    const { octets } = this.#many;
    for (let at = 0; at < count * EPOLL_EVENT_OCTETS; at += EPOLL_EVENT_OCTETS)
      each(octets.readUInt32LE(at + EPOLL_EVENT_DATA_AT), octets.readUInt32LE(at));
  }

  close(): void {
    c.close(this.#set);
  }

  #control(operation: number, fd: number, place: number, wantsWrite: boolean): void {
    this.#one.octets.writeUInt32LE(EPOLLIN | EPOLLRDHUP | (wantsWrite ? EPOLLOUT : 0), 0);
    this.#one.octets.writeUInt32LE(place, EPOLL_EVENT_DATA_AT);
    c.epoll_ctl(this.#set, operation, fd, this.#one.pointer);
  }
}

const EVENTS_MAX = 256;

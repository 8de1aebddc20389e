/** The queries of the show: each has something to watch. */
import type { ShowQuery } from "./show.ts";

export const SHOW_QUERIES: readonly ShowQuery[] = [
  {
    name: "www.shop.example.",
    type: "A",
    transport: "udp",
    rcode: "NOERROR",
    why: "the whole way from the root",
  },
  {
    name: "www.shop.example.",
    type: "A",
    transport: "tls",
    rcode: "NOERROR",
    why: "encrypted, authenticated, and from the cache",
  },
  {
    name: "chain1.shop.example.",
    type: "AAAA",
    transport: "tls",
    rcode: "NOERROR",
    why: "aliases across three zones, on the same connection",
  },
  {
    name: "www.old.shop.example.",
    type: "A",
    transport: "tcp",
    rcode: "NOERROR",
    why: "a whole subtree that moved (DNAME)",
  },
  {
    name: "t4096.big.org.",
    type: "TXT",
    transport: "udp",
    rcode: "NOERROR",
    why: "too big for a datagram: truncated, then TCP, twice",
  },
  {
    name: "nothing.bank.example.",
    type: "A",
    transport: "tls",
    rcode: "NXDOMAIN",
    why: "a name that does not exist",
  },
  { name: "www.half.lab.", type: "A", transport: "tls", rcode: "NOERROR", why: "one of two servers is dead" },
  {
    name: "www.ednsformerr.lab.",
    type: "A",
    transport: "tls",
    rcode: "NOERROR",
    why: "a server that does not know EDNS",
  },
  {
    name: "www.refused.lab.",
    type: "A",
    transport: "tls",
    rcode: "SERVFAIL",
    why: "nobody wants to answer, and the reply says so",
  },
];

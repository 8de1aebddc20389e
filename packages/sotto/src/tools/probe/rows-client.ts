/** The rows of the table of clients: the eight of July 2016 first, then what later standards ask of stubs. */
import type { Row } from "./model.ts";

/** In the order that tables print them. */
export const CLIENT_ROWS: readonly Row[] = [
  deck("fast-open", "TCP Fast Open", "Does its first octets travel in the SYN when the server allows it?"),
  deck("reuse", "Connection reuse", "Does one connection carry several of its queries?"),
  deck("pipelining", "Pipelining of queries", "Does it send a query before the one before is answered?"),
  deck("out-of-order", "Process OOOR", "Does it take answers in another order than it asked?"),
  deck("keepalive", "EDNS0 Keepalive", "Does it ask over TCP or TLS how long the connection may be idle?"),
  deck("tls", "TLS on port 853", "Can it ask over TLS?"),
  deck("authentication", "Authentication of server", "Does it refuse servers with a wrong certificate?"),
  deck("padding", "EDNS0 Padding", "Does it pad its queries over TLS, and to the recommended block?"),
  later("keepalive-obeyed", "Keepalive obeyed", "Does it close an idle connection when the server said so?"),
  later("retry", "Retry after close", "Does it ask again when the server closes before the answer?"),
  later("tcp-after-truncation", "TC, then TCP", "Does it ask over TCP when an answer over UDP is truncated?"),
  later("pins", "Authentication by pin", "Can it be told a public key, and refuses servers with another?"),
  later("downgrade", "No downgrade", "Does it send nothing in clear when a server fails to authenticate?"),
  later("resumption", "Session resumption", "Does a second TLS connection resume the session of the first?"),
  later("server-name", "Server name (SNI)", "Does it tell the server's name in the TLS handshake?"),
  later("alpn", "ALPN dot", "Does it offer the protocol dot in the TLS handshake?"),
  later("tls-versions", "TLS versions", "Does it offer TLS 1.3, and nothing below TLS 1.2?"),
  later("cookies", "DNS cookies", "Does it send a cookie over UDP?"),
  later(
    "client-subnet",
    "Client subnet withheld",
    "Does it ask that its address is not passed on (ECS with prefix 0)?",
  ),
  later("matching", "Answers matched", "Does it refuse answers with another id or question?"),
  later("segmentation", "Any segmentation", "Does it read answers that arrive octet by octet?"),
  later(
    "edns-fallback",
    "Fallback without EDNS",
    "Does it ask again without OPT when a server knows no EDNS?",
  ),
  later(
    "faults",
    "Faults survived",
    "Does it end in time and in order when answers are cut, garbled or never come?",
  ),
];

function deck(key: string, title: string, question: string): Row {
  return { key, title, question, deck: "clients" };
}

function later(key: string, title: string, question: string): Row {
  return { key, title, question };
}

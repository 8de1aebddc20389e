/** The rows of a server's table: those of July 2016 first, in the deck's words, then what later times need. */
import type { Row } from "./model.ts";

export const SERVER_ROWS: readonly Row[] = [
  row(
    "fast-open",
    "TCP Fast Open",
    "Does the server take data that travels in the first segment of a connection?",
    "servers",
  ),
  row(
    "pipelining",
    "Process pipelined queries",
    "Does it answer queries that come before earlier ones are answered?",
    "servers",
  ),
  row(
    "out-of-order",
    "Provide out-of-order responses",
    "Does a quick answer overtake a slow one on the same connection?",
    "servers",
  ),
  row(
    "keepalive",
    "EDNS0 Keepalive",
    "Does it say how long an idle connection lives, and keep its word?",
    "servers",
  ),
  row("tls", "TLS on port 853", "Does it answer over TLS, and never in clear on the same port?", "servers"),
  row(
    "certificate",
    "Provide server certificate",
    "Can a client know that it talks to the right server?",
    "servers",
  ),
  row(
    "padding",
    "EDNS0 Padding",
    "Does it hide the length of its answers when asked to, over TLS only?",
    "servers",
  ),
  row("reuse", "Connection reuse", "Does it answer many queries over one connection?"),
  row("udp", "Answers over UDP", "Does it answer at all over UDP?"),
  row("tcp", "Answers over TCP", "Does it answer over TCP, without UDP before?"),
  row(
    "replies",
    "One reply to each query",
    "Has each reply the id and question of its query, and comes nothing else?",
  ),
  row("two-in-one", "Two queries in one segment", "Does it see both when two queries come in one piece?"),
  row("segmentation", "Queries in pieces", "Does it wait for a query that comes octet by octet?"),
  row(
    "half-close",
    "Half-closed connections",
    "Does it answer a client that has already closed its sending side?",
  ),
  row("in-flight", "Queries in flight", "How many queries at once does it take on one connection?"),
  row("idle-timeout", "Idle time", "How long does a connection live on which nothing is asked?"),
  row(
    "connections",
    "Connections of one client",
    "How many connections at once does it take from one address?",
  ),
  row("tls-versions", "TLS versions", "Does it speak TLS 1.3 and 1.2, and nothing older?"),
  row("tls-groups", "Key exchange groups", "Which ways to agree on keys does it take?"),
  row("alpn", "ALPN dot", "Does it know the protocol's name within TLS?"),
  row("sni", "No server name needed", "Does it answer clients that do not say whom they mean?"),
  row("resumption", "Session resumption", "Is the second TLS handshake a short one?"),
  row(
    "edns-udp",
    "EDNS over UDP",
    "Does it keep to the rules for extensions, also for ones that it does not know?",
  ),
  row("edns-tcp", "EDNS over TCP", "The same over TCP."),
  row("edns-tls", "EDNS over TLS", "The same over TLS."),
  row("odd-requests", "Requests that it does not know", "Does it say so, and go on?"),
  row("dnssec", "DNSSEC validation", "Does it refuse answers whose signatures are wrong?"),
  row("extended-errors", "Extended errors", "Does it say why something failed?"),
  row("cookies", "DNS cookies", "Does it give cookies against forged addresses?"),
  row("ddr", "Discovery of encrypted resolvers", "Does it tell clients how to reach it over TLS?"),
  row(
    "qname-minimisation",
    "QNAME minimisation",
    "Does it tell other servers no more of a name than they need?",
  ),
];

function row(key: string, title: string, question: string, deck?: Row["deck"]): Row {
  return { key, title, question, deck };
}

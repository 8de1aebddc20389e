/**
 * The calls of libc and of the OpenSSL inside Node that the load generator makes by itself, through `node:ffi`. `node:tls` cannot be
 * used for it: it joins all queries of a turn into one record, while dnsperf, kdig and stubs send a record for each, and what a
 * server pays depends on that. All memory that calls read or write is allocated here and lives as long as the process.
 */
import { dlopen, getRawPointer } from "node:ffi";

const { functions } = dlopen(null, {
  socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
  bind: { arguments: ["int32", "pointer", "uint32"], return: "int32" },
  connect: { arguments: ["int32", "pointer", "uint32"], return: "int32" },
  setsockopt: { arguments: ["int32", "int32", "int32", "pointer", "uint32"], return: "int32" },
  getsockopt: { arguments: ["int32", "int32", "int32", "pointer", "pointer"], return: "int32" },
  // Both give 64 bits, of which the lower half tells all: lengths here are below 2^31.
  send: { arguments: ["int32", "pointer", "uint64", "int32"], return: "int32" },
  recv: { arguments: ["int32", "pointer", "uint64", "int32"], return: "int32" },
  close: { arguments: ["int32"], return: "int32" },
  epoll_create1: { arguments: ["int32"], return: "int32" },
  epoll_ctl: { arguments: ["int32", "int32", "int32", "pointer"], return: "int32" },
  epoll_wait: { arguments: ["int32", "pointer", "int32", "int32"], return: "int32" },
  TLS_client_method: { arguments: [], return: "pointer" },
  SSL_CTX_new: { arguments: ["pointer"], return: "pointer" },
  SSL_CTX_ctrl: { arguments: ["pointer", "int32", "int64", "pointer"], return: "int64" },
  SSL_CTX_set_alpn_protos: { arguments: ["pointer", "pointer", "uint32"], return: "int32" },
  SSL_new: { arguments: ["pointer"], return: "pointer" },
  SSL_free: { arguments: ["pointer"], return: "void" },
  SSL_set_fd: { arguments: ["pointer", "int32"], return: "int32" },
  SSL_set_connect_state: { arguments: ["pointer"], return: "void" },
  SSL_do_handshake: { arguments: ["pointer"], return: "int32" },
  SSL_read: { arguments: ["pointer", "pointer", "int32"], return: "int32" },
  SSL_write: { arguments: ["pointer", "pointer", "int32"], return: "int32" },
  SSL_get_error: { arguments: ["pointer", "int32"], return: "int32" },
  SSL_shutdown: { arguments: ["pointer"], return: "int32" },
  SSL_session_reused: { arguments: ["pointer"], return: "int32" },
  SSL_get1_session: { arguments: ["pointer"], return: "pointer" },
  SSL_SESSION_is_resumable: { arguments: ["pointer"], return: "int32" },
  SSL_SESSION_dup: { arguments: ["pointer"], return: "pointer" },
  SSL_SESSION_free: { arguments: ["pointer"], return: "void" },
  SSL_set_session: { arguments: ["pointer", "pointer"], return: "int32" },
  ERR_clear_error: { arguments: [], return: "void" },
});

/** The calls by their C names; see the manual pages. A failure is told as C does, without errno. */
export const c = functions;

/** Memory for calls: the octets and where they are. Never freed. */
export interface CMemory {
  readonly octets: Buffer;
  readonly pointer: bigint;
}

/** Keeps what calls may still use reachable. */
const kept: Buffer[] = [];

export function allocate(octetsMax: number): CMemory {
  // A pool would move nothing, but its slab could be collected with the slice that is kept alive here: no pool.
  const octets = Buffer.alloc(octetsMax);
  kept.push(octets);
  return { octets, pointer: getRawPointer(octets) };
}

/** A C string. */
function text(value: string): bigint {
  const memory = allocate(value.length + 1);
  memory.octets.write(value, "latin1");
  return memory.pointer;
}

/** An IPv4 address and port as `sockaddr_in`, for {@link SOCKADDR_OCTETS}. */
export function socketAddress(address: string, port: number): bigint {
  const memory = allocate(SOCKADDR_OCTETS);
  memory.octets.writeUInt16LE(AF_INET, 0);
  memory.octets.writeUInt16BE(port, 2);
  memory.octets.set(address.split(".").map(Number), 4);
  return memory.pointer;
}

/** A client context: TLS 1.3, any certificate, ALPN `dot`, the key exchange groups that all servers here have. */
export function makeTlsContext(): bigint {
  const context = c.SSL_CTX_new(c.TLS_client_method());
  const control = (command: number, number: number, pointer = 0n): void => {
    c.SSL_CTX_ctrl(context, command, BigInt(number), pointer);
  };
  control(SSL_CTRL_SET_MIN_PROTO_VERSION, TLS1_3_VERSION);
  control(SSL_CTRL_MODE, SSL_MODE_PARTIAL_MOVING_RELEASE);
  control(SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_CLIENT_NO_INTERNAL);
  // One read for all the records that are there.
  control(SSL_CTRL_SET_READ_AHEAD, 1);
  // As Debian's OpenSSL 3.0 offers them: the post-quantum hybrid of newer ones costs only servers that have it.
  control(SSL_CTRL_SET_GROUPS_LIST, 0, text("X25519:P-256"));
  c.SSL_CTX_set_alpn_protos(context, text("\x03dot"), 4);
  return context;
}

// From the headers of Linux (generic ABI) and OpenSSL 3.
export const AF_INET = 2;
export const SOCKADDR_OCTETS = 16;
export const SOCK_STREAM_NONBLOCK = 1 | 0o4000;
export const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
export const MSG_NOSIGNAL = 0x4000;
export const SOL_SOCKET = 1;
export const SO_RCVBUF = 8;
export const SO_ERROR = 4;
export const IPPROTO_IP = 0;
export const IP_BIND_ADDRESS_NO_PORT = 24;
export const IPPROTO_TCP = 6;
export const TCP_NODELAY = 1;
export const EPOLLIN = 1;
export const EPOLLOUT = 4;
export const EPOLLERR = 8;
export const EPOLLHUP = 16;
export const EPOLLRDHUP = 0x2000;
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_MOD = 3;
/** Octets of one `epoll_event`: packed on x86-64, padded elsewhere. */
export const EPOLL_EVENT_OCTETS = process.arch === "x64" ? 12 : 16;
export const EPOLL_EVENT_DATA_AT = EPOLL_EVENT_OCTETS - 8;
export const SSL_ERROR_WANT_READ = 2;
export const SSL_ERROR_WANT_WRITE = 3;
const SSL_CTRL_MODE = 33;
const SSL_CTRL_SET_READ_AHEAD = 41;
const SSL_CTRL_SET_SESS_CACHE_MODE = 44;
const SSL_CTRL_SET_GROUPS_LIST = 92;
const SSL_CTRL_SET_MIN_PROTO_VERSION = 123;
const TLS1_3_VERSION = 0x0304;
const SSL_MODE_PARTIAL_MOVING_RELEASE = 1 | 2 | 0x10;
const SSL_SESS_CACHE_CLIENT_NO_INTERNAL = 1 | 0x300;

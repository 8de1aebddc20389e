/**
 * The functions of libc, libuv and OpenSSL that the engine calls, as the running Node exports them itself. Addresses of memory
 * are `bigint` and stay in this folder, whose README.md says who owns what.
 */
import type * as Ffi from "node:ffi";

type FfiModule = typeof Ffi;

/** Functions of the process, and the errno of this thread. */
export interface Foreign {
  readonly ffi: FfiModule;
  readonly library: Ffi.DynamicLibrary;
  readonly calls: Calls;
  /** Of this thread; its one element has to be read before anything else is called. */
  readonly errno: Int32Array;
}

/** See {@link SIGNATURES}. */
export type Calls = ReturnType<typeof bind>["functions"];

/** What the system is; a parameter for tests. */
export interface Machine {
  readonly platform: string;
  readonly arch: string;
  /** `process.getBuiltinModule`, which older Nodes lack. */
  readonly getModule: ((name: string) => unknown) | undefined;
}

const INT = "int32";
const UINT = "uint32";
const LONG = "int64";
/** An address, or a size. */
const WORD = "uint64";
const VOID = "void";
/**
 * What the functions of each connection and each query take: addresses and numbers alike, none negative, as `bigint`. C looks at
 * as many bits as it needs. Node puts a function of its own before each call that checks numbers and converts objects, and only
 * where all arguments are pointers, and more than one, it does not: 20 ns instead of 40 to 380 once the caller is compiled, 150
 * instead of 200 to 550 before.
 */
const ANY = "pointer";
/** A second argument that C does not look at, for the reason above: NULL. Both calling conventions allow it. */
const UNUSED = "pointer";

/** Memory is given by address: a buffer as an argument costs more. */
const SIGNATURES = {
  // libc
  __errno_location: { arguments: [], return: WORD },
  memcpy: { arguments: [ANY, ANY, ANY], return: WORD },
  memcmp: { arguments: [ANY, ANY, ANY], return: INT },
  malloc: { arguments: [WORD], return: WORD },
  socket: { arguments: [INT, INT, INT], return: INT },
  bind: { arguments: [INT, WORD, UINT], return: INT },
  connect: { arguments: [INT, WORD, UINT], return: INT },
  listen: { arguments: [INT, INT], return: INT },
  accept4: { arguments: [ANY, ANY, ANY, ANY], return: INT },
  getsockname: { arguments: [INT, WORD, WORD], return: INT },
  setsockopt: { arguments: [ANY, ANY, ANY, ANY, ANY], return: INT },
  getsockopt: { arguments: [INT, INT, INT, WORD, WORD], return: INT },
  read: { arguments: [ANY, ANY, ANY], return: INT },
  send: { arguments: [ANY, ANY, ANY, ANY], return: INT },
  recv: { arguments: [INT, WORD, WORD, INT], return: INT },
  shutdown: { arguments: [ANY, ANY], return: INT },
  close: { arguments: [ANY, UNUSED], return: INT },
  fcntl: { arguments: [INT, INT, INT], return: INT },
  recvmmsg: { arguments: [ANY, ANY, ANY, ANY, ANY], return: INT },
  sendmmsg: { arguments: [ANY, ANY, ANY, ANY], return: INT },
  epoll_create1: { arguments: [INT], return: INT },
  epoll_ctl: { arguments: [ANY, ANY, ANY, ANY], return: INT },
  epoll_wait: { arguments: [ANY, ANY, ANY, ANY], return: INT },
  // libuv
  uv_handle_size: { arguments: [INT], return: WORD },
  uv_poll_init: { arguments: [WORD, WORD, INT], return: INT },
  uv_poll_start: { arguments: [WORD, INT, WORD], return: INT },
  uv_poll_stop: { arguments: [WORD], return: INT },
  uv_is_active: { arguments: [WORD], return: INT },
  uv_close: { arguments: [WORD, WORD], return: VOID },
  uv_ref: { arguments: [WORD], return: VOID },
  uv_unref: { arguments: [WORD], return: VOID },
  // Node, by the names that C++ has for v8::Isolate::GetCurrent, node::AddEnvironmentCleanupHook and …Remove…
  _ZN2v87Isolate10GetCurrentEv: { arguments: [], return: WORD },
  _ZN4node25AddEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_: {
    arguments: [ANY, ANY, ANY],
    return: VOID,
  },
  _ZN4node28RemoveEnvironmentCleanupHookEPN2v87IsolateEPFvPvES3_: {
    arguments: [ANY, ANY, ANY],
    return: VOID,
  },
  // OpenSSL: errors and memory
  ERR_peek_error: { arguments: [], return: UINT },
  ERR_clear_error: { arguments: [], return: VOID },
  ERR_reason_error_string: { arguments: [WORD], return: WORD },
  BIO_s_mem: { arguments: [], return: WORD },
  BIO_new: { arguments: [WORD], return: WORD },
  BIO_up_ref: { arguments: [ANY, UNUSED], return: INT },
  BIO_read: { arguments: [ANY, ANY, ANY], return: INT },
  BIO_ctrl_pending: { arguments: [ANY, UNUSED], return: UINT },
  // OpenSSL: contexts
  TLS_server_method: { arguments: [], return: WORD },
  SSL_CTX_new: { arguments: [WORD], return: WORD },
  SSL_CTX_free: { arguments: [WORD], return: VOID },
  SSL_CTX_ctrl: { arguments: [WORD, INT, LONG, WORD], return: LONG },
  SSL_CTX_callback_ctrl: { arguments: [WORD, INT, WORD], return: LONG },
  SSL_CTX_set_options: { arguments: [WORD, WORD], return: WORD },
  SSL_CTX_set_cipher_list: { arguments: [WORD, WORD], return: INT },
  SSL_CTX_set_ciphersuites: { arguments: [WORD, WORD], return: INT },
  SSL_CTX_set_session_id_context: { arguments: [WORD, WORD, UINT], return: INT },
  SSL_CTX_set_timeout: { arguments: [WORD, LONG], return: LONG },
  SSL_CTX_set_num_tickets: { arguments: [WORD, WORD], return: INT },
  SSL_CTX_set_alpn_select_cb: { arguments: [WORD, WORD, WORD], return: VOID },
  SSL_CTX_set_tlsext_ticket_key_evp_cb: { arguments: [WORD, WORD], return: INT },
  SSL_CTX_set_verify: { arguments: [WORD, INT, WORD], return: VOID },
  SSL_CTX_use_certificate_ASN1: { arguments: [WORD, INT, WORD], return: INT },
  SSL_CTX_use_PrivateKey: { arguments: [WORD, WORD], return: INT },
  SSL_CTX_get_cert_store: { arguments: [WORD], return: WORD },
  SSL_CTX_add_client_CA: { arguments: [WORD, WORD], return: INT },
  X509_STORE_add_cert: { arguments: [WORD, WORD], return: INT },
  d2i_X509: { arguments: [WORD, WORD, LONG], return: WORD },
  i2d_X509: { arguments: [WORD, WORD], return: INT },
  X509_free: { arguments: [WORD], return: VOID },
  d2i_AutoPrivateKey: { arguments: [WORD, WORD, LONG], return: WORD },
  EVP_PKEY_free: { arguments: [WORD], return: VOID },
  // OpenSSL: tickets
  RAND_bytes: { arguments: [ANY, ANY], return: INT },
  EVP_aes_128_cbc: { arguments: [], return: WORD },
  EVP_EncryptInit_ex: { arguments: [ANY, ANY, ANY, ANY, ANY], return: INT },
  EVP_DecryptInit_ex: { arguments: [ANY, ANY, ANY, ANY, ANY], return: INT },
  EVP_MAC_init: { arguments: [ANY, ANY, ANY, ANY], return: INT },
  // OpenSSL: connections
  SSL_new: { arguments: [ANY, UNUSED], return: WORD },
  SSL_free: { arguments: [ANY, UNUSED], return: VOID },
  SSL_set_rfd: { arguments: [ANY, ANY], return: INT },
  SSL_set0_wbio: { arguments: [ANY, ANY], return: VOID },
  SSL_set_accept_state: { arguments: [ANY, UNUSED], return: VOID },
  SSL_set_SSL_CTX: { arguments: [WORD, WORD], return: WORD },
  SSL_do_handshake: { arguments: [ANY, UNUSED], return: INT },
  SSL_read: { arguments: [ANY, ANY, ANY], return: INT },
  SSL_peek: { arguments: [ANY, ANY, ANY], return: INT },
  SSL_write: { arguments: [ANY, ANY, ANY], return: INT },
  SSL_shutdown: { arguments: [ANY, UNUSED], return: INT },
  SSL_get_error: { arguments: [ANY, ANY], return: INT },
  SSL_has_pending: { arguments: [ANY, UNUSED], return: INT },
  SSL_get_version: { arguments: [ANY, UNUSED], return: WORD },
  SSL_get_current_cipher: { arguments: [ANY, UNUSED], return: WORD },
  SSL_CIPHER_standard_name: { arguments: [ANY, UNUSED], return: WORD },
  SSL_get0_alpn_selected: { arguments: [ANY, ANY, ANY], return: VOID },
  SSL_get_servername: { arguments: [ANY, ANY], return: WORD },
  SSL_session_reused: { arguments: [ANY, UNUSED], return: INT },
  SSL_get_verify_result: { arguments: [ANY, UNUSED], return: INT },
  SSL_get0_peer_certificate: { arguments: [WORD], return: WORD },
  SSL_get_peer_cert_chain: { arguments: [WORD], return: WORD },
  OPENSSL_sk_num: { arguments: [WORD], return: INT },
  OPENSSL_sk_value: { arguments: [WORD, INT], return: WORD },
} as const;

function bind(ffi: FfiModule) {
  return ffi.dlopen(null, SIGNATURES);
}

/** The functions, or why they cannot be had. Nothing is loaded before. */
export function loadForeign({ platform, arch, getModule }: Machine): Foreign | string {
  if (platform !== "linux") return `it needs Linux, this is ${platform}`;
  // Layouts of structures are those of 64-bit Linux; others were not tried.
  if (arch !== "x64" && arch !== "arm64") return `it knows x64 and arm64, this is ${arch}`;
  try {
    const module = getModule?.("node:ffi");
    if (module === undefined)
      return "this Node has no node:ffi (it needs Node 26, without --no-experimental-ffi)";
    const ffi = module as FfiModule; // The module of this name.
    const { lib: library, functions: calls } = bind(ffi);
    const errno = new Int32Array(ffi.toArrayBuffer(calls.__errno_location(), ERRNO_BYTES, false));
    return { ffi, library, calls, errno };
  } catch (problem) {
    // A missing symbol, or --permission without --allow-ffi.
    return `node:ffi: ${problem instanceof Error ? problem.message : String(problem)}`;
  }
}

const ERRNO_BYTES = 4;

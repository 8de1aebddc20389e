/**
 * The cipher suites that are spoken, on both sides (RFC 8310 §9 and RFC 7858 §3.2 point at BCP 195). Node's own list ends in
 * everything that OpenSSL calls HIGH: with an RSA certificate that is static RSA, which RFC 9325 §4.1 forbids, and CBC.
 */

const TLS12_SUITES = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** RFC 9325 §4.2: ephemeral elliptic curves and AEAD only; every suite of TLS 1.3 is that. In order of preference. */
export const TLS_SUITES = [
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_AES_128_GCM_SHA256",
  ...TLS12_SUITES,
].join(":");

/**
 * The same ones, as a server chooses among what a client offers: first the suite that everybody has (RFC 8446 §9.1). The
 * key schedule of a handshake is some dozens of hashes, and processors compute SHA-256 several times as fast as SHA-384;
 * 128 bits are what the key exchange is worth, too.
 */
export const TLS_SERVER_SUITES = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  ...TLS12_SUITES,
].join(":");

/** EDNS option codes (IANA "DNS EDNS0 Option Codes"). */
export const EdnsOptionCode = {
  Nsid: 3,
  Dau: 5,
  Dhu: 6,
  N3u: 7,
  ClientSubnet: 8,
  Expire: 9,
  Cookie: 10,
  TcpKeepalive: 11,
  Padding: 12,
  Chain: 13,
  KeyTag: 14,
  ExtendedError: 15,
  ReportChannel: 18,
  ZoneVersion: 19,
} as const;
export type EdnsOptionCode = number;

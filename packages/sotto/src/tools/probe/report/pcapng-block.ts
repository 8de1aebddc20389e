/** Blocks of a pcapng file (draft-ietf-opsawg-pcapng), big-endian, times in microseconds. Only writes. */
import { concatOctets, OctetWriter } from "@sotto/dns/wire";
import type { Packet } from "./pcapng-flow.ts";

/** Section Header Block, first in a file. */
export function sectionBlock(comment: string): Uint8Array {
  return block(0x0a0d0d0a, (writer) => {
    writer.uint32(0x1a2b3c4d);
    // Version 1.0, and a section length that nobody tells.
    writer.uint32(0x0001_0000);
    writer.uint32(0xffff_ffff);
    writer.uint32(0xffff_ffff);
    writeOptions(writer, [
      [OptionCode.Comment, comment],
      [OptionCode.Program, "sotto probe"],
    ]);
  });
}

/** Interface Description Block of IP packets without a link layer. */
export function interfaceBlock(name: string, description: string): Uint8Array {
  return block(1, (writer) => {
    writer.uint16(LINKTYPE_RAW);
    writer.uint16(0);
    // No limit of captured octets.
    writer.uint32(0);
    writeOptions(writer, [
      [OptionCode.InterfaceName, name],
      [OptionCode.InterfaceDescription, description],
    ]);
  });
}

/** Enhanced Packet Block; `atMs` is wall time. */
export function packetBlock(
  interfaceId: number,
  atMs: number,
  { octets, wholeOctets }: Packet,
  comment: string | undefined,
): Uint8Array {
  const atUs = Math.min(Math.max(Math.round(atMs * 1000), 0), Number.MAX_SAFE_INTEGER);
  return block(6, (writer) => {
    writer.uint32(interfaceId);
    writer.uint32(Math.floor(atUs / 0x1_0000_0000));
    writer.uint32(atUs % 0x1_0000_0000);
    writer.uint32(octets.length);
    writer.uint32(wholeOctets);
    writer.octets(octets);
    writer.zeros(missing(octets.length));
    writeOptions(writer, comment === undefined ? [] : [[OptionCode.Comment, comment]]);
  });
}

/** The file. */
export function joinBlocks(blocks: readonly Uint8Array[]): Uint8Array {
  return concatOctets(blocks);
}

/** Type, length, body, and the length again, so that readers can go backwards. */
function block(type: number, writeBody: (writer: OctetWriter) => void): Uint8Array {
  const body = new OctetWriter();
  writeBody(body);
  const length = body.length + 12;
  const writer = new OctetWriter(length);
  writer.uint32(type);
  writer.uint32(length);
  writer.octets(body.finish());
  writer.uint32(length);
  return writer.finish();
}

function writeOptions(writer: OctetWriter, options: readonly (readonly [number, string])[]): void {
  if (options.length === 0) return;
  for (const [code, text] of options) {
    const octets = textEncoder.encode(text.slice(0, TEXT_CHARACTERS_MAX).toWellFormed());
    writer.uint16(code);
    writer.uint16(octets.length);
    writer.octets(octets);
    writer.zeros(missing(octets.length));
  }
  // End of options.
  writer.uint32(0);
}

/** Octets up to the next multiple of four. */
function missing(length: number): number {
  return -length & 3;
}

const textEncoder = new TextEncoder();

/** Characters of a text; options hold 65535 octets. */
const TEXT_CHARACTERS_MAX = 2000;
/** An IP packet, whose first four bits are its version. */
const LINKTYPE_RAW = 101;
const OptionCode = { Comment: 1, InterfaceName: 2, InterfaceDescription: 3, Program: 4 } as const;

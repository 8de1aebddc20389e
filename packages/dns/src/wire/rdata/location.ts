/** Where something is (RFC 1876): `42 21 54.000 N 71 6 18.000 W -24.00m 30m 10000m 10m`. */
import type { OctetReader } from "../octets.ts";
import type { FormatProblem } from "../parsed.ts";
import type { TokenReader } from "../text-token.ts";
import type { Field } from "./field.ts";

/** Sizes and precisions as on the wire (one octet: mantissa and power of ten, centimetres); angles and altitude raw. */
export interface Location {
  readonly size: number;
  readonly horizontalPrecision: number;
  readonly verticalPrecision: number;
  /** Thousandths of a second of arc, 2^31 is the equator. */
  readonly latitude: number;
  /** Thousandths of a second of arc, 2^31 is the prime meridian. */
  readonly longitude: number;
  /** Centimetres above 100 km below the WGS 84 spheroid. */
  readonly altitude: number;
}

const MIDDLE = 2 ** 31;
const ALTITUDE_ZERO = 10_000_000;
const DEFAULTS = { size: 0x12, horizontalPrecision: 0x16, verticalPrecision: 0x13 };

/** What is wrong with values, undefined when nothing is. */
function locationProblem(value: Location): FormatProblem | undefined {
  const { size, horizontalPrecision, verticalPrecision, latitude, longitude } = value;
  if (!isPrecision(size) || !isPrecision(horizontalPrecision) || !isPrecision(verticalPrecision))
    return "LOC has a size that is no number";
  if (Math.abs(latitude - MIDDLE) > 90 * 3_600_000 || Math.abs(longitude - MIDDLE) > 180 * 3_600_000)
    return "LOC is not on the globe";
  return undefined;
}

function readVersion0(reader: OctetReader): Location {
  const value = {
    size: reader.uint8(),
    horizontalPrecision: reader.uint8(),
    verticalPrecision: reader.uint8(),
    latitude: reader.uint32(),
    longitude: reader.uint32(),
    altitude: reader.uint32(),
  };
  const wrong = locationProblem(value);
  if (wrong !== undefined) reader.fail(wrong);
  return value;
}

export const location: Field<Location> = {
  read(reader) {
    if (reader.uint8() !== 0) reader.fail("LOC has an unknown version");
    return readVersion0(reader);
  },
  skip(reader) {
    // RFC 1876 §2: nothing is assumed about the format of other versions.
    if (reader.uint8() !== 0) reader.skip(reader.remaining);
    else readVersion0(reader);
  },
  write(writer, value) {
    const wrong = locationProblem(value);
    if (wrong !== undefined) return wrong;
    writer.uint8(0);
    writer.uint8(value.size);
    writer.uint8(value.horizontalPrecision);
    writer.uint8(value.verticalPrecision);
    writer.uint32(value.latitude);
    writer.uint32(value.longitude);
    writer.uint32(value.altitude);
    return undefined;
  },
  toText(value) {
    const altitude = (value.altitude - ALTITUDE_ZERO) / 100;
    const sizes = [value.size, value.horizontalPrecision, value.verticalPrecision].map(metres).join(" ");
    return `${angleToText(value.latitude, "N", "S")} ${angleToText(value.longitude, "E", "W")} ${altitude.toFixed(2)}m ${sizes}`;
  },
  parse(tokens) {
    const latitude = parseAngle(tokens, "N", "S", 90);
    const longitude = parseAngle(tokens, "E", "W", 180);
    const metresText = /^(-?[0-9]{1,8}(?:\.[0-9]{1,2})?)m?$/i.exec(tokens.next("altitude").text);
    const altitude = Math.round(Number(metresText?.[1] ?? Number.NaN) * 100) + ALTITUDE_ZERO;
    if (!(altitude >= 0 && altitude <= 0xffff_ffff)) tokens.fail("altitude is not metres");
    const size = parsePrecision(tokens, DEFAULTS.size);
    const horizontalPrecision = parsePrecision(tokens, DEFAULTS.horizontalPrecision);
    const verticalPrecision = parsePrecision(tokens, DEFAULTS.verticalPrecision);
    return { size, horizontalPrecision, verticalPrecision, latitude, longitude, altitude };
  },
};

/** RFC 1876 §2: two digits; nothing times a power of ten has one spelling. */
function isPrecision(octet: number): boolean {
  return octet >>> 4 <= 9 && (octet & 15) <= 9 && (octet >>> 4 > 0 || octet === 0);
}

/** As dig prints it: centimetres only for less than a metre. */
function metres(octet: number): string {
  const value = ((octet >>> 4) * 10 ** (octet & 15)) / 100;
  return (octet & 15) >= 2 ? `${value}m` : `${value.toFixed(2)}m`;
}

function angleToText(raw: number, positive: string, negative: string): string {
  const thousandths = Math.abs(raw - MIDDLE);
  const seconds = (thousandths % 60_000) / 1000;
  const minutes = Math.floor(thousandths / 60_000) % 60;
  return `${Math.floor(thousandths / 3_600_000)} ${minutes} ${seconds.toFixed(3)} ${raw >= MIDDLE ? positive : negative}`;
}

/** Degrees, then optional minutes and seconds, then the hemisphere. */
function parseAngle(tokens: TokenReader, positive: string, negative: string, degreesMax: number): number {
  const parts: number[] = [];
  for (let i = 0; i < 4; i++) {
    const { text } = tokens.next("angle");
    const upper = text.toUpperCase();
    if (i > 0 && (upper === positive || upper === negative)) {
      const [degrees = 0, minutes = 0, seconds = 0] = parts;
      const thousandths = Math.round((degrees * 3600 + minutes * 60 + seconds) * 1000);
      if (thousandths > degreesMax * 3_600_000)
        tokens.fail(`angle of ${degrees} degrees is more than ${degreesMax}`);
      return upper === positive ? MIDDLE + thousandths : MIDDLE - thousandths;
    }
    const isNumber = i === 2 ? /^[0-9]{1,2}(?:\.[0-9]{1,3})?$/.test(text) : /^[0-9]{1,3}$/.test(text);
    if (!isNumber || (i > 0 && Number(text) >= 60))
      tokens.fail(`${JSON.stringify(text)} is not part of an angle`);
    parts.push(Number(text));
  }
  tokens.fail(`angle does not end in ${positive} or ${negative}`);
  return 0;
}

function parsePrecision(tokens: TokenReader, fallback: number): number {
  if (tokens.remaining === 0) return fallback;
  const { text } = tokens.next("size");
  const parts = /^([0-9]{1,8})(?:\.([0-9]{1,2}))?m?$/i.exec(text);
  if (parts === null) {
    tokens.fail(`${JSON.stringify(text)} is not metres`);
    return fallback;
  }
  let mantissa = Number(parts[1]) * 100 + Number((parts[2] ?? "0").padEnd(2, "0"));
  let power = 0;
  for (; mantissa > 9; power++) mantissa = Math.floor(mantissa / 10);
  return (mantissa << 4) | power;
}

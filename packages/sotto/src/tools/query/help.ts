/** `sotto query --help`: everything on one screen, from the table of flags. */
import { FLAGS, type Flag } from "./flags.ts";

const COLUMNS = 100;

/** The text of the help, lines of at most 100 characters. */
export function helpText(): string {
  const flags = FLAGS.map(flagText);
  return `usage: sotto query [@server] [name] [type] [class] [+flags] [name …]

  Options: -p PORT  -b ADDRESS  -x ADDRESS (reverse)  -t TYPE  -c CLASS  -q NAME  -f FILE  -4  -6
  Flags before the first name are for all queries; [no] flags can be switched off; unique
  beginnings are enough. For privacy: +tls encrypts, +tls-ca or +tls-pin also authenticate and
  then nothing is sent to a server that is not the right one.

${wrap(flags)}
  Exit codes: 0 answered (NXDOMAIN too)  1 usage  8 batch file  9 no reply  10 internal
  20 server not authenticated
  Examples: sotto query example.com AAAA        sotto query @dns.example +tls-ca example.com
            sotto query @192.0.2.1 +tls +pipeline a.example b.example MX c.example
`;
}

function flagText(flag: Flag): string {
  const name = flag.names.join("|");
  const value =
    flag.value === undefined ? "" : flag.isValueOptional === true ? `[=${flag.value}]` : `=${flag.value}`;
  return `+${flag.isNegatable ? "[no]" : ""}${name}${value}`;
}

/** Explains one flag per line: for `--help all`. */
export function flagsReference(): string {
  const texts = FLAGS.map(flagText);
  const width = Math.max(...texts.map((text) => text.length)) + 2;
  return FLAGS.map((flag, i) => `  ${(texts[i] ?? "").padEnd(width)}${flag.help}\n`).join("");
}

function wrap(words: readonly string[]): string {
  let text = "";
  let line = " ";
  for (const word of words) {
    if (line.length + word.length + 1 > COLUMNS) {
      text += `${line}\n`;
      line = " ";
    }
    line += ` ${word}`;
  }
  return `${text}${line}\n`;
}

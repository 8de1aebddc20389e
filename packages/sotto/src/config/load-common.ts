/** The part of `load` that resolvers and front ends have in common: listeners as a whole, and cookies. */
import { resolve } from "node:path";
import { type Parsed, problem } from "@sotto/dns/wire";
import type { Config, ListenerConfig } from "./config.ts";
import { readConfigText } from "./config-document.ts";
import { toListener, toSessionLimits } from "./load-listeners.ts";
import type { Settings } from "./settings.ts";

/** Reports a problem of one setting, by its path. */
export type ReportAt = (path: readonly PropertyKey[], message: string) => void;

/** All listeners, which must not be in each other's way. */
export function toListeners(
  checked: Pick<Settings, "listen" | "limits">,
  folder: string,
  report: ReportAt,
): ListenerConfig[] {
  const listeners = checked.listen.map((listener, i) =>
    toListener(listener, checked.limits, folder, (message) => report(["listen", i], message)),
  );
  toSessionLimits(checked.limits, {}, (key, message) => report(["limits", key], message));
  checkSameAddress(listeners, report);
  return listeners;
}

/** PEM text of a file with authorities; without a certificate in it nobody could ever be authenticated. */
export function readAuthorities(file: string): Parsed<string> {
  const text = readConfigText(file);
  if (!text.ok) return problem(`${file} ${text.problem}`);
  return /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(text.value)
    ? text
    : problem(`${file} holds no certificate in PEM`);
}

export function toCookies(
  { cookies }: Pick<Settings, "cookies">,
  folder: string,
  report: (key: string, message: string) => void,
): Config["cookies"] {
  return {
    policy: cookies.policy === "require-over-udp" ? "require over udp" : cookies.policy,
    secrets: readCookieSecrets(cookies.secret, folder, (message) => report("secret", message)),
  };
}

function checkSameAddress(listeners: readonly ListenerConfig[], report: ReportAt): void {
  const seen = new Set<string>();
  for (const [i, listener] of listeners.entries()) {
    if (listener.local.port === 0) continue;
    const layer = listener.transport === "udp" ? "udp" : "tcp";
    const key = `${layer} ${listener.local.address} ${listener.local.port}`;
    if (seen.has(key)) report(["listen", i], `another listener has the same address and port (${key})`);
    seen.add(key);
  }
}

function readCookieSecrets(
  file: string | undefined,
  folder: string,
  report: (message: string) => void,
): Uint8Array[] {
  if (file === undefined) return [];
  const path = resolve(folder, file);
  const text = readConfigText(path);
  if (!text.ok) {
    report(`${path} ${text.problem}`);
    return [];
  }
  const lines = text.value.trim().split(/\s+/);
  if (lines.length > 2 || lines.some((line) => !/^[0-9a-fA-F]{32}$/.test(line))) {
    report(`${path} does not hold one or two lines of 32 hexadecimal digits`);
    return [];
  }
  return lines.map((line) => new Uint8Array(Buffer.from(line, "hex")));
}

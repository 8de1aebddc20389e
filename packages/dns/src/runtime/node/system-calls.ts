/**
 * System calls that Node does not make for us, on Linux: through `node:ffi`, which Node has from 26 on, else through the
 * package `koffi`, an optional peer that programs on older Nodes install when they want them. Neither is loaded before
 * somebody asks. The only file with foreign calls outside `runtime/native`: whoever gets a descriptor from here closes it or hands it to Node, which
 * then does; memory given to a call is used by the kernel during the call only.
 */

/** The system calls that are needed. All give -1 for a failure, whose errno is not told. */
export interface SystemCalls {
  socket(domain: number, type: number, protocol: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, octets: number): number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, octets: Uint8Array): number;
  sendto(fd: number, octets: Uint8Array, flags: number, address: Uint8Array): number;
  fcntl(fd: number, command: number, argument: number): number;
  close(fd: number): number;
}

/** What `import()` does; a parameter for tests. */
type ImportModule = (specifier: string) => Promise<unknown>;

/** As much as is used of `node:ffi`. */
interface NodeFfi {
  dlopen(
    library: null,
    signatures: Record<string, { arguments: readonly string[]; return: string }>,
  ): { readonly functions: Record<string, (...values: unknown[]) => unknown> };
}

/** As much as is used of `koffi`, 3.0 or later. */
interface Koffi {
  load(library: null): {
    func(name: string, result: string, parameters: readonly string[]): (...values: unknown[]) => unknown;
  };
}

/** Result and parameters of each call, in words that both interfaces translate. */
const SIGNATURES = {
  socket: ["int", "int", "int", "int"],
  setsockopt: ["int", "int", "int", "int", "octets", "length"],
  getsockopt: ["int", "int", "int", "int", "octets", "octets"],
  sendto: ["long", "int", "octets", "size", "int", "octets", "length"],
  fcntl: ["int", "int", "int", "int"],
  close: ["int", "int"],
} as const;

type Word = (typeof SIGNATURES)[keyof typeof SIGNATURES][number];
type CallName = keyof typeof SIGNATURES;
type AnyCall = (...values: unknown[]) => unknown;

const FFI_TYPES: Readonly<Record<Word, string>> = {
  int: "int32",
  long: "int64",
  size: "uint64",
  octets: "buffer",
  length: "uint32",
};
const KOFFI_TYPES: Readonly<Record<Word, string>> = {
  int: "int",
  long: "int64_t",
  size: "size_t",
  octets: "void *",
  length: "uint32_t",
};

let loading: Promise<SystemCalls | string> | undefined;

/** The calls, or why they cannot be made. Loaded once, when first asked for. */
export function systemCalls(): Promise<SystemCalls | string> {
  loading ??= loadSystemCalls(process.platform, (specifier) => import(specifier));
  return loading;
}

/** As {@link systemCalls}, for a platform and a way to import. */
export async function loadSystemCalls(
  platform: string,
  importModule: ImportModule,
): Promise<SystemCalls | string> {
  if (platform !== "linux") return `not supported on ${platform}`;
  const problems: string[] = [];
  for (const [specifier, bind] of [
    ["node:ffi", bindFfi],
    ["koffi", bindKoffi],
  ] as const) {
    try {
      return callsOf(bind(await importModule(specifier)));
    } catch (problem) {
      problems.push(`${specifier}: ${shortReason(problem)}`);
    }
  }
  return `this needs Node 26 or later, or the package koffi beside @sotto/dns (${problems.join("; ")})`;
}

/** The code of Node's errors, whose text is long and full of paths; the text of others. */
function shortReason(problem: unknown): string {
  if (!(problem instanceof Error)) return String(problem);
  return "code" in problem ? String(problem.code) : problem.message;
}

function bindFfi(module: unknown): (name: CallName) => AnyCall {
  const { dlopen } = module as NodeFfi; // The module of this name.
  const { functions } = dlopen(
    null,
    Object.fromEntries(
      Object.entries(SIGNATURES).map(([name, [result, ...parameters]]) => [
        name,
        { arguments: parameters.map((word) => FFI_TYPES[word]), return: FFI_TYPES[result] },
      ]),
    ),
  );
  return (name) => functions[name] ?? missing(name);
}

function bindKoffi(module: unknown): (name: CallName) => AnyCall {
  const library = (module as Koffi).load(null); // The module of this name.
  return (name) => {
    const [result, ...parameters] = SIGNATURES[name];
    return library.func(
      name,
      KOFFI_TYPES[result],
      parameters.map((word) => KOFFI_TYPES[word]),
    );
  };
}

function missing(name: string): never {
  throw new Error(`no system call ${name}`);
}

function callsOf(bound: (name: CallName) => AnyCall): SystemCalls {
  const [socket, setsockopt, getsockopt] = [bound("socket"), bound("setsockopt"), bound("getsockopt")];
  const [sendto, fcntl, close] = [bound("sendto"), bound("fcntl"), bound("close")];
  return {
    socket: (domain, type, protocol) => Number(socket(domain, type, protocol)),
    setsockopt: (fd, level, option, value, octets) => Number(setsockopt(fd, level, option, value, octets)),
    getsockopt: (fd, level, option, value, octets) => Number(getsockopt(fd, level, option, value, octets)),
    sendto: (fd, octets, flags, address) =>
      Number(sendto(fd, octets, BigInt(octets.length), flags, address, address.length)),
    fcntl: (fd, command, argument) => Number(fcntl(fd, command, argument)),
    close: (fd) => Number(close(fd)),
  };
}

/** Whether {@link duplicateDescriptor} gives another one here. */
export async function canDuplicateDescriptors(): Promise<boolean> {
  return typeof (await systemCalls()) !== "string";
}

/** A descriptor of our own for the same open socket; the same one where it cannot be had, which then is ours. */
export async function duplicateDescriptor(fd: number): Promise<number> {
  const calls = await systemCalls();
  if (typeof calls === "string") return fd;
  const own = calls.fcntl(fd, F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR);
  return own < 0 ? fd : own;
}

// Constants of Linux, from its headers.
const F_DUPFD_CLOEXEC = 1030;
/** Behind standard input, output and error. */
const FIRST_DESCRIPTOR = 3;

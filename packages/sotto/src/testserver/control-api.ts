/**
 * The control API: HTTP and JSON on a loopback address. It lists fixtures, tells what clients did, and switches behaviours.
 * Who may use it is who may connect to loopback; pages of a browser may not, which the Host and Origin headers tell.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { DnsError } from "@sotto/dns/runtime";
import { type Parsed, parsed, problem } from "@sotto/dns/wire";
import type { End } from "./behaviour.ts";
import { serverJson } from "./describe.ts";
import { SWITCH_WORDS_MAX, type TestServer } from "./test-server.ts";

export interface ControlPlace {
  readonly address: string;
  readonly port: number;
}

/** What an operation gives: JSON, or a status and a sentence. */
type Result = { readonly status: number; readonly body: unknown };

export class ControlApi {
  readonly place: ControlPlace;
  readonly #server: Server;

  private constructor(server: Server, place: ControlPlace) {
    this.#server = server;
    this.place = place;
  }

  /** Listens; port 0 for a free one. Rejects with ERR_ADDRESS_IN_USE or ERR_SYSTEM. */
  static async open(port: number, tests: TestServer): Promise<ControlApi> {
    const server = createServer({ requestTimeout: REQUEST_MS }, (request, response) => {
      answer(request, tests).then(
        (result) => send(response, result),
        (error: unknown) =>
          send(response, failed(400, error instanceof Error ? error.message : String(error))),
      );
    });
    server.maxConnections = CONNECTIONS_MAX;
    await new Promise<void>((resolve, reject) => {
      // Kept: an error of accepting later must not end the program.
      server.on("error", (cause: NodeJS.ErrnoException) =>
        reject(
          new DnsError(
            cause.code === "EADDRINUSE" ? "ERR_ADDRESS_IN_USE" : "ERR_SYSTEM",
            `cannot open the control API on ${LOOPBACK} port ${port}: ${cause.code ?? cause.message}; another one: --control PORT`,
            { cause },
          ),
        ),
      );
      server.listen(port, LOOPBACK, resolve);
    });
    const local = server.address();
    const localPort = typeof local === "object" && local !== null ? local.port : port;
    return new ControlApi(server, { address: LOOPBACK, port: localPort });
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

async function answer(request: IncomingMessage, tests: TestServer): Promise<Result> {
  if (!isLocal(request)) return failed(403, "only for programs on this machine");
  const url = new URL(request.url ?? "/", "http://localhost");
  const operation = `${request.method ?? ""} ${url.pathname}`;
  switch (operation) {
    case "GET /fixtures":
      return done(serverJson(tests).fixtures);
    case "GET /counters":
      return done(tests.observations.counters);
    case "GET /switches":
      return done(tests.switches);
    case "GET /connections":
      return connections(url.searchParams, tests);
    case "POST /switch":
      return withObject(request, (body) => switchFixture(body, tests));
    case "POST /end":
      return withObject(request, (body) => endConnection(body, tests));
    case "POST /reset":
      tests.reset();
      return done({});
    default:
      return failed(404, `there is no ${operation}; there are ${OPERATIONS.join(", ")}`);
  }
}

const OPERATIONS = [
  "GET /fixtures",
  "GET /counters",
  "GET /connections?fixture=NAME&since=ID",
  "GET /switches",
  'POST /switch {"fixture": NAME, "as": [WORD…]}',
  'POST /end {"connection": ID, "how": "fin"}',
  "POST /reset",
];

function connections(parameters: URLSearchParams, tests: TestServer): Result {
  const { observations } = tests;
  const since = Number(parameters.get("since") ?? 0);
  if (!Number.isSafeInteger(since) || since < 0) return failed(400, "since is the number of a connection");
  const found = observations.connections(since, parameters.get("fixture") ?? undefined);
  return done({ connections: found, connectionsLost: observations.connectionsLost });
}

function switchFixture({ fixture, as: words = [] }: JsonObject, tests: TestServer): Result {
  if (typeof fixture !== "string" || !isStrings(words))
    return failed(400, 'a switch is {"fixture": NAME, "as": [WORD…]}');
  const switched = tests.switch(fixture, words);
  if (switched.ok) return done(tests.switches);
  return failed(words.length > SWITCH_WORDS_MAX ? 400 : 404, switched.problem);
}

function endConnection({ connection, how = "fin" }: JsonObject, tests: TestServer): Result {
  const end = ENDS.find((one) => one === how);
  if (typeof connection !== "number" || end === undefined)
    return failed(400, `an end is {"connection": ID, "how": one of ${ENDS.join(", ")}}`);
  return tests.endConnection(connection, end)
    ? done({})
    : failed(404, `connection ${connection} is not open`);
}

const ENDS: readonly End[] = ["fin", "rst", "silence", "fin-without-close-notify", "close-notify-only"];

/** A page that a browser shows names its own host, even when that leads here (DNS rebinding). */
function isLocal({ headers }: IncomingMessage): boolean {
  const host = /^(?:127\.0\.0\.1|localhost)(?::[0-9]+)?$/.test(headers.host ?? "");
  return host && headers.origin === undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;

async function withObject(request: IncomingMessage, act: (body: JsonObject) => Result): Promise<Result> {
  const body = await readBody(request);
  if (body === undefined) return failed(413, `a body has at most ${BODY_OCTETS_MAX} octets`);
  const read = readJson(body);
  return read.ok ? act(read.value) : failed(400, read.problem);
}

/** Undefined: it is too long. It is read to its end all the same: a client that is still writing gets a reset instead of an answer. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const pieces: Buffer[] = [];
  let octets = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    octets += piece.length;
    if (octets > DISCARDED_OCTETS_MAX) break;
    if (octets <= BODY_OCTETS_MAX) pieces.push(piece);
  }
  return octets > BODY_OCTETS_MAX ? undefined : Buffer.concat(pieces);
}

function readJson(body: Buffer): Parsed<JsonObject> {
  try {
    const value: unknown = JSON.parse(body.toString("utf8"));
    if (typeof value !== "object" || value === null || Array.isArray(value))
      return problem("the body is no object");
    // An object of JSON.parse is one.
    return parsed(value as JsonObject);
  } catch {
    return problem("the body is no JSON");
  }
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function done(body: unknown): Result {
  return { status: 200, body };
}

function failed(status: number, error: string): Result {
  return { status, body: { error } };
}

function send(response: ServerResponse, { status, body }: Result): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end(`${JSON.stringify(body)}\n`);
}

const LOOPBACK = "127.0.0.1";
const CONNECTIONS_MAX = 64;
const BODY_OCTETS_MAX = 65_536;
/** Octets of a body that are read at all; one that is longer is no mistake. */
const DISCARDED_OCTETS_MAX = 64 * 1024 * 1024;
const REQUEST_MS = 10_000;

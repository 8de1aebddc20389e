/** What can happen to a stub, its servers and the way between them. */
import type { CertificatePair } from "../../packages/sotto/src/operations/index.ts";
import {
  forgetFlows,
  letThrough,
  moveBack,
  moveElsewhere,
  plugIn,
  pullCable,
  rememberFlows,
  swallow,
} from "./recovery-network.ts";
import { delay, type Program, type Server } from "./recovery-programs.ts";
import type { Stream } from "./recovery-stream.ts";

/** What an event happens to. */
export interface Scene {
  readonly servers: readonly Server[];
  readonly stubs: readonly Program[];
  readonly streams: readonly Stream[];
  readonly certificates: Readonly<Record<"first" | "second" | "misnamed", CertificatePair>>;
}

export interface RecoveryEvent {
  readonly id: string;
  readonly title: string;
  /** How long it lasts, milliseconds; 0: it happens at once. */
  readonly lastsMs: number;
  /** Stubs know their servers by pins, too: the first certificate's and the second's. */
  readonly isPinned?: boolean;
  /** Servers close connections that have been idle for so long. */
  readonly serverIdleMs?: number;
  /** It happens to `sotto stub` alone. */
  readonly isOurs?: boolean;
  readonly begin: (scene: Scene, lastsMs: number) => Promise<void> | void;
  readonly end?: (scene: Scene) => Promise<void> | void;
  /** Puts back what the next event expects. */
  readonly tidy?: () => void;
}

const restart = async ({ servers }: Scene, pair: CertificatePair, signal?: NodeJS.Signals): Promise<void> => {
  await Promise.all(servers.map((server) => server.end(signal)));
  await Promise.all(servers.map((server) => server.start(pair)));
};
const start = async ({ servers }: Scene, pair: CertificatePair): Promise<void> => {
  await Promise.all(servers.map((server) => server.start(pair)));
};
function each<T>(items: readonly T[], act: (item: T) => void): void {
  for (const item of items) act(item);
}

const flow = ({ streams }: Scene): void => {
  for (const stream of streams) stream.flow();
};
/** Stops asking and waits until what was asked is answered. */
const fallSilent = async ({ streams }: Scene): Promise<void> => {
  for (const stream of streams) stream.pause();
  await delay(500);
};

const fallAsleep = async (scene: Scene): Promise<void> => {
  await fallSilent(scene);
  for (const stub of scene.stubs) stub.signal("SIGSTOP");
  for (const { address } of scene.servers) swallow(address);
};
const wakeUp = (scene: Scene): void => {
  forgetFlows();
  for (const { address } of scene.servers) letThrough(address);
  for (const stub of scene.stubs) stub.signal("SIGCONT");
  flow(scene);
};

/** Of one server or of all that there are. */
export const EVENTS: readonly RecoveryEvent[] = [
  {
    id: "link-down",
    title: "link down and up again, with addresses and routes",
    lastsMs: 20_000,
    begin: pullCable,
    end: plugIn,
  },
  {
    id: "black-hole",
    title: "the router swallows everything, then no more",
    lastsMs: 20_000,
    begin: ({ servers }) => each(servers, ({ address }) => swallow(address)),
    end: ({ servers }) => each(servers, ({ address }) => letThrough(address)),
  },
  {
    id: "address-change",
    title: "the client has another address, the old one is gone",
    lastsMs: 0,
    begin: moveElsewhere,
    tidy: moveBack,
  },
  {
    id: "restart",
    title: "server restarts",
    lastsMs: 0,
    begin: (scene) => restart(scene, scene.certificates.first),
  },
  {
    id: "killed",
    title: "server killed, started again later",
    lastsMs: 20_000,
    begin: async ({ servers }) => {
      await Promise.all(servers.map((server) => server.end("SIGKILL")));
    },
    end: (scene) => start(scene, scene.certificates.first),
  },
  {
    id: "new-certificate",
    title: "server restarts with a new key and certificate for its name",
    lastsMs: 0,
    begin: (scene) => restart(scene, scene.certificates.second),
  },
  {
    id: "backup-pin",
    title: "server restarts with the key of the backup pin",
    lastsMs: 0,
    isPinned: true,
    begin: (scene) => restart(scene, scene.certificates.second),
  },
  {
    id: "wrong-certificate",
    title: "server has another name's certificate, then its own again",
    lastsMs: 20_000,
    begin: (scene) => restart(scene, scene.certificates.misnamed),
    end: (scene) => restart(scene, scene.certificates.first),
  },
  {
    id: "idle-flow-forgotten",
    title: "a middlebox forgets idle connections, without a word",
    lastsMs: 0,
    begin: async (scene) => {
      await fallSilent(scene);
      await delay(4000);
      forgetFlows();
      flow(scene);
    },
    tidy: rememberFlows,
  },
  {
    id: "busy-flow-forgotten",
    title: "a middlebox forgets busy connections, without a word",
    lastsMs: 0,
    begin: forgetFlows,
    tidy: rememberFlows,
  },
  {
    id: "server-closes-early",
    title: "server closes what has been idle for two seconds; queries every three",
    lastsMs: 15_000,
    serverIdleMs: 2000,
    begin: async (scene, lastsMs) => {
      for (const stream of scene.streams) stream.pause();
      for (let atMs = 0; atMs < lastsMs; atMs += 3000) {
        await delay(3000);
        for (const stream of scene.streams) for (let i = 0; i < 4; i++) stream.send();
      }
    },
    end: flow,
  },
  {
    id: "stub-asleep",
    title: "stub suspended; what its servers and a middlebox did meanwhile did not reach it",
    lastsMs: 60_000,
    begin: fallAsleep,
    end: wakeUp,
    tidy: rememberFlows,
  },
  {
    id: "stub-asleep-briefly",
    title: "the same for six seconds: as a whole night to programs whose clocks stand still in it",
    lastsMs: 6000,
    begin: fallAsleep,
    end: wakeUp,
    tidy: rememberFlows,
  },
  {
    id: "server-asleep",
    title: "server suspended",
    lastsMs: 30_000,
    begin: ({ servers }) => each(servers, (server) => server.signal("SIGSTOP")),
    end: ({ servers }) => each(servers, (server) => server.signal("SIGCONT")),
  },
  {
    id: "reload",
    title: "stub reads its configuration again while its server is away",
    lastsMs: 3000,
    isOurs: true,
    begin: ({ servers, stubs }) => {
      each(servers, ({ address }) => swallow(address));
      each(stubs, (stub) => stub.reload());
    },
    end: ({ servers }) => each(servers, ({ address }) => letThrough(address)),
  },
  {
    id: "first-black-hole",
    title: "the way to the first of several servers swallows everything, then no more",
    lastsMs: 20_000,
    begin: ({ servers }) => each(servers.slice(0, 1), ({ address }) => swallow(address)),
    end: ({ servers }) => each(servers.slice(0, 1), ({ address }) => letThrough(address)),
  },
];

export { answerQuery, type ServedZone } from "./fake-internet/authority.ts";
export {
  FakeInternet,
  type FakeInternetOptions,
  type FakeName,
  loopbackAddress,
  type Tamper,
} from "./fake-internet/fake-internet.ts";
export type { HeardQuery } from "./fake-internet/fake-server.ts";
export { MINIMISATION_NAME } from "./fake-internet/minimisation.zones.ts";
export type { Action } from "./fake-internet/misbehaviour.ts";
export type { ServerText } from "./fake-internet/zone-text.ts";
export { readAnchorFile } from "./scenario/anchor-file.ts";
export { compareAnswer } from "./scenario/compare-answer.ts";
export {
  playScenario,
  queryOf,
  type ScenarioResult,
  type ScenarioSubject,
} from "./scenario/play-scenario.ts";
export { tryReadScenario } from "./scenario/read-scenario.ts";
export type { Scenario, ScenarioSetting } from "./scenario/scenario.ts";
export { replyTo, type Unmatched } from "./scenario/scenario-server.ts";
export { SeededRandom } from "./sim/seeded-random.ts";
export { SimClock } from "./sim/sim-clock.ts";
export type { Reachability } from "./sim/sim-host.ts";
export {
  FAKE_SYSTEM_ANCHOR,
  type FakeIdentity,
  fakeAnchorPem,
  fakeCertificatePem,
  fakePin,
} from "./sim/sim-identity.ts";
export {
  SimNetwork,
  type SimNetworkOptions,
  type SimNetworkUse,
} from "./sim/sim-network.ts";
export { type RecordedEvent, RecordedEvents, type SimWorld, simRuntime } from "./sim/sim-runtime.ts";

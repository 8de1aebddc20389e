export { type Output, type ProbeCommand, readProbeArguments } from "./arguments.ts";
export { PROBE_HELP } from "./help.ts";
export type { Cell } from "./model.ts";
export {
  checklistJson,
  checklistText,
  type Operated,
  privacyChecklist,
  privacyStatement,
} from "./privacy/index.ts";
export {
  explainableRows,
  explainText,
  fails,
  hasMessages,
  isSilent,
  junitText,
  markdownText,
  NagiosExit,
  nagiosResult,
  nagiosUnknown,
  pageText,
  pcapngOf,
  REPORT_FILE_OCTETS_MAX,
  reportFileText,
  reportSchema,
  sheetsOf,
  type TitledReport,
  tableText,
  tryReadReportFile,
  verdictText,
  visible,
} from "./report/index.ts";
export {
  loadRows,
  type PreparedTarget,
  type ProbeContext,
  planText,
  prepareTargets,
  probeOneClient,
  probeTargets,
} from "./run.ts";

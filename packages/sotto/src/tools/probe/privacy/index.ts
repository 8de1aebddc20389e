export { type Operated, privacyChecklist } from "./checklist.ts";
export { checklistJson, checklistText } from "./checklist-text.ts";
export { privacyStatement } from "./statement.ts";

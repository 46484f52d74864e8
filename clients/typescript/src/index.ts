export { type Options, type Page, Rustok } from "./client.ts";
export {
  type Answer,
  type FieldProblem,
  type Patience,
  type Problem,
  ProblemError,
  answered,
  form,
  idempotent,
  ifMatch,
} from "./sending.ts";
export type { components, operations, paths } from "./schema.ts";

// How a request is sent and what comes back: answers, errors, and what is tried again.

import type { components } from "./schema.ts";

export type Problem = components["schemas"]["Problem"];
export type FieldProblem = components["schemas"]["FieldProblem"];

/** The API refused, with a problem document (RFC 9457). `code` is what a program decides by. */
export class ProblemError extends Error {
  readonly problem: Problem;
  readonly response: Response;

  constructor(problem: Problem, response: Response) {
    super(`${response.status} ${problem.code}: ${problem.detail}`);
    this.name = "ProblemError";
    this.problem = problem;
    this.response = response;
  }

  get code(): string {
    return this.problem.code;
  }

  get status(): number {
    return this.response.status;
  }

  /** Each wrong value, with the pointer that leads to it (RFC 6901). */
  get errors(): FieldProblem[] {
    return this.problem.errors ?? [];
  }

  /** Seconds after which another try makes sense. */
  get retryAfter(): number | undefined {
    return secondsToWait(this.response);
  }
}

/** What an operation answered; `etag` is the version, as `ifMatch` takes it. */
export interface Answer<Data> {
  data: Data;
  etag: string | null;
  /** Whether the same Idempotency-Key had been answered before. */
  isReplayed: boolean;
  response: Response;
}

type Sent<Data> = Promise<{ data?: Data; error?: unknown; response: Response }>;

/** The answer to one operation. Throws ProblemError, and TypeError without an answer. */
export async function answered<Data>(sent: Sent<Data>): Promise<Answer<Data>> {
  const { data, error, response } = await sent;
  if (error !== undefined || response.status >= 400) throw new ProblemError(asProblem(error, response), response);
  const isReplayed = response.headers.get("Idempotent-Replayed") === "true";
  return { data: data as Data, etag: response.headers.get("ETag"), isReplayed, response };
}

/** For `params.header`: the effect happens once, however often the same key is sent. */
export const idempotent = (key: string = crypto.randomUUID()) => ({ "Idempotency-Key": key });

/** For `bodySerializer`: a body with files, each a Blob or File, as a form. */
export function form(body: Record<string, Blob | string | null | undefined>): FormData {
  const made = new FormData();
  for (const [name, value] of Object.entries(body)) {
    if (value !== null && value !== undefined) made.append(name, value);
  }
  return made;
}

/** For `params.header`: the version that an edit replaces. */
export const ifMatch = (etag: string | null) => ({ "If-Match": etag ?? "*" });

/** How long to go on trying: so many times, and waiting no longer than so many seconds each time. */
export interface Patience {
  attempts: number;
  longestWait: number;
  sleep: (seconds: number) => Promise<void>;
}

export const PATIENT: Patience = {
  attempts: 4,
  longestWait: 60,
  sleep: (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000)),
};

/** `fetch` that tries again when a refusal says that it passes, and as `renew` says when the token does not hold. */
export function patiently(
  send: typeof fetch,
  patience: Patience,
  renew: (request: Request) => Promise<Request | undefined>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    let isRenewed = false;
    for (let attempt = 1; ; attempt += 1) {
      const response = await send(request.clone());
      if (response.status === 401 && !isRenewed) {
        const renewed = await renew(request);
        if (renewed === undefined) return response;
        [request, isRenewed] = [renewed, true];
        continue;
      }
      const wait = secondsToWait(response);
      const mayRepeat = await isPassing(request, response);
      if (!mayRepeat || wait === undefined || wait > patience.longestWait || attempt >= patience.attempts) return response;
      await patience.sleep(wait);
    }
  };
}

/** Nothing was done where a limit refused; else only what may happen twice, or does not, is sent again. */
async function isPassing(request: Request, response: Response): Promise<boolean> {
  if (response.status === 429) return true;
  const isRepeatable = request.method !== "POST" || request.headers.has("Idempotency-Key");
  if (response.status === 503) return isRepeatable;
  return response.status === 409 && (await response.clone().json()).code === "request_in_flight";
}

function secondsToWait(response: Response): number | undefined {
  const told = response.headers.get("Retry-After") ?? "";
  return /^\d+$/.test(told) ? Number(told) : undefined;
}

/** Also of an answer that is no problem document, as a proxy in front may give one. */
function asProblem(error: unknown, response: Response): Problem {
  if (typeof error === "object" && error !== null && "code" in error && "detail" in error) return error as Problem;
  return { type: "about:blank", title: "", status: response.status, code: "unknown", detail: String(error).slice(0, 200) };
}

// The client: every operation of the API, and logins that renew themselves.

import createClient, { type Client } from "openapi-fetch";

import { type Answer, PATIENT, type Patience, answered, patiently } from "./sending.ts";
import type { components, paths } from "./schema.ts";

type Schemas = components["schemas"];
type Refresh = "/api/v1/auth/refresh" | "/api/v1/store/account/refresh";

/** What every list answers. */
export interface Page<Row> {
  data: Row[];
  next: string | null;
}

export interface Options {
  baseUrl: string;
  /** An API key or an access token; or log in. */
  token?: string;
  /** Slug or id, where the host does not name the tenant. */
  tenant?: string;
  /** As `Accept-Language` has them. */
  languages?: string;
  patience?: Partial<Patience>;
  fetch?: typeof fetch;
}

/** All operations of an installation are at `api`: `rustok.api.GET("/api/v1/store/products", …)`. */
export class Rustok {
  readonly api: Client<paths>;
  token: string | undefined;
  #session: { refreshToken: string; path: Refresh } | undefined;
  #renewing: Promise<boolean> | undefined;
  readonly #anybody: Client<paths>;
  readonly #baseUrl: string;

  constructor({ baseUrl, token, tenant, languages, patience, fetch: send = fetch }: Options) {
    const headers = { "X-Tenant": tenant, "Accept-Language": languages };
    const wait = { ...PATIENT, ...patience };
    this.#baseUrl = baseUrl;
    this.token = token;
    this.#anybody = createClient<paths>({ baseUrl, headers, fetch: patiently(send, wait, async () => undefined) });
    this.api = createClient<paths>({
      baseUrl,
      headers,
      fetch: patiently(send, wait, (request) => this.#renewed(request)),
      // As the API reads lists: names separated by commas.
      querySerializer: { array: { style: "form", explode: false } },
    });
    this.api.use({
      onRequest: ({ request }) => {
        if (this.token !== undefined) request.headers.set("Authorization", `Bearer ${this.token}`);
        return request;
      },
    });
  }

  /** As somebody who works in tenants; `code` is that of the second factor. Throws ProblemError. */
  async logIn(email: string, password: string, code: string | null = null): Promise<Schemas["StaffLogin"]> {
    const { data } = await answered(this.#anybody.POST("/api/v1/auth/token", { body: { email, password, code } }));
    this.#begin(data, "/api/v1/auth/refresh");
    return data;
  }

  /** As a customer of the tenant. Throws ProblemError. */
  async logInAsCustomer(email: string, password: string): Promise<Schemas["CustomerLogin"]> {
    const { data } = await answered(this.#anybody.POST("/api/v1/store/account/login", { body: { email, password } }));
    this.#begin(data, "/api/v1/store/account/refresh");
    return data;
  }

  /** Every row of this page and of all that follow, which are asked for as they are needed. */
  async *each<Row>(first: Answer<Page<Row>>): AsyncGenerator<Row> {
    let page = first.data;
    for (;;) {
      yield* page.data;
      if (page.next === null) return;
      const next = new URL(page.next);
      if (next.origin !== new URL(this.#baseUrl).origin)
        throw new Error(`${page.next} is not on ${this.#baseUrl}: the token is not sent there`);
      // The path is one that the document has; only its type is not known here.
      const sent = this.api.GET(`${next.pathname}${next.search}` as "/api/v1/store/products");
      page = (await answered(sent)).data as unknown as Page<Row>;
    }
  }

  #begin(tokens: Schemas["Tokens"], path: Refresh): void {
    this.token = tokens.access_token;
    this.#session = { refreshToken: tokens.refresh_token, path };
  }

  /** The request with another token, if there is one. Requests that are refused together renew it once. */
  async #renewed(request: Request): Promise<Request | undefined> {
    const refused = request.headers.get("Authorization");
    if (refused === `Bearer ${this.token}`) {
      this.#renewing ??= this.#renew().finally(() => (this.#renewing = undefined));
      if (!(await this.#renewing)) return undefined;
    } else if (refused === null) return undefined;
    const renewed = request.clone();
    renewed.headers.set("Authorization", `Bearer ${this.token}`);
    return renewed;
  }

  async #renew(): Promise<boolean> {
    const session = this.#session;
    if (session === undefined) return false;
    const { data } = await this.#anybody.POST(session.path, { body: { refresh_token: session.refreshToken } });
    if (data === undefined) {
      this.#session = undefined; // it has ended; whoever asked hears of the refusal
      return false;
    }
    this.#begin(data, session.path);
    return true;
  }
}

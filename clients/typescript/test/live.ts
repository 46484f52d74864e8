// Against a live server: node test/live.ts URL SHOP NARROW EMAIL PASSWORD. Writes "wait SECONDS" where it would wait for
// a limit, and goes on when it is sent a line.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { Rustok, ProblemError, answered, form, idempotent, ifMatch } from "../src/index.ts";

const [url = "", shop = "", narrow = "", email = "", password = ""] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin });
const lamp = { translations: [{ locale: "en", title: "Desk lamp" }], variants: [{ sku: "DL-1" }] };

async function refusal(sent: Promise<unknown>): Promise<ProblemError> {
  try {
    await sent;
  } catch (error) {
    assert(error instanceof ProblemError, String(error));
    return error;
  }
  throw new Error("was not refused");
}

const staff = new Rustok({ baseUrl: url, tenant: shop, languages: "de" });
await staff.logIn(email, password);

// A token that is not accepted any more is renewed, once for all who are refused.
const stale = (staff.token = `${staff.token}x`);
const who = await Promise.all([1, 2, 3].map(() => answered(staff.api.GET("/api/v1/auth/me"))));
assert.deepEqual(who.map(({ data }) => data.email), [email, email, email]);
assert.notEqual(staff.token, stale);

// Every product of all pages comes once; filters that are lists go as the API reads them.
const query = { limit: 2, sort: "created_at", fields: ["id", "translations"] } as const;
const titles: string[] = [];
const page = await answered(staff.api.GET("/api/v1/admin/products", { params: { query: { ...query, fields: [...query.fields] } } }));
for await (const row of staff.each(page)) titles.push(row.translations?.[0]?.title ?? "");
assert.deepEqual(titles, [0, 1, 2, 3, 4].map((number) => `Lamp ${number}`));
await assert.rejects(async () => {
  for await (const _ of staff.each({ ...page, data: { data: [], next: "https://evil.example/" } }));
}, /token is not sent/);

// The same intent happens once.
const header = idempotent();
const made = await answered(staff.api.POST("/api/v1/admin/products", { params: { header }, body: lamp }));
const again = await answered(staff.api.POST("/api/v1/admin/products", { params: { header }, body: lamp }));
assert.equal(made.response.status, 201);
assert.deepEqual([made.isReplayed, again.isReplayed, again.data.id], [false, true, made.data.id]);

// An edit replaces the version that was read and no other.
const path = { product_id: made.data.id };
const read = await answered(staff.api.GET("/api/v1/admin/products/{product_id}", { params: { path } }));
const edit = (vendor: string) =>
  answered(
    staff.api.PATCH("/api/v1/admin/products/{product_id}", {
      params: { path, header: ifMatch(read.etag) },
      body: { vendor },
    }),
  );
assert.equal((await edit("Nordlicht")).data.vendor, "Nordlicht");
const late = await refusal(edit("Südlicht"));
assert.deepEqual([late.status, late.code], [412, "precondition_failed"]);

// A file is sent as a form.
const file = new File(["%PDF-1.4 lamps"], "prices.pdf", { type: "application/pdf" });
const sent = await answered(
  staff.api.POST("/api/v1/admin/assets", { body: { file, folder: "lists" }, bodySerializer: form }),
);
assert.deepEqual([sent.data.kind, sent.data.name, sent.data.folder], ["document", "prices.pdf", "lists"]);

// A wrong value is pointed at.
const wrong = await refusal(
  answered(staff.api.POST("/api/v1/admin/products", { body: { ...lamp, vendor: "x".repeat(300) } })),
);
assert.deepEqual([wrong.status, wrong.code, wrong.errors[0]?.pointer], [422, "validation_failed", "/vendor"]);
assert.equal(wrong.response.headers.get("Content-Language"), "de");

// What a limit refuses is asked again when it is time.
let waits = 0;
const visitor = new Rustok({
  baseUrl: url,
  tenant: narrow,
  patience: {
    longestWait: 120,
    sleep: async (seconds) => {
      waits += 1;
      console.log(`wait ${seconds}`);
      await once(lines, "line");
    },
  },
});
for (let number = 0; number < 4; number += 1) {
  assert.deepEqual((await answered(visitor.api.GET("/api/v1/store/products"))).data.data, []);
}
assert.equal(waits, 1);

// The storefront is read without a token.
const reader = new Rustok({ baseUrl: url, tenant: shop });
const rows = [];
for await (const row of reader.each(await answered(reader.api.GET("/api/v1/store/products")))) rows.push(row);
assert.equal(rows.length, 5);
const handle = rows[0]?.handle ?? "";
const shown = await answered(reader.api.GET("/api/v1/store/products/{handle}", { params: { path: { handle } } }));
assert.equal(shown.data.variants[0]?.prices[0]?.amount, "19.90");

lines.close();
console.log("done");

// Bodies of blocks: a form for every block, drawn from the schema of its type. The text field stays what is sent.

const { every, make, choose, pick } = globalThis.desk;

const nameOf = (type) => ({ cta: "Call to action", faq: "Questions and answers", html: "HTML", url: "Address" })[type]
  ?? type.replace(/^(is|has)_/, "").replace(/_ids?$/, "").replaceAll("_", " ").replace(/^./, (letter) => letter.toUpperCase());
const isEmpty = (value) => value === null || value === undefined || value === "" || (Array.isArray(value) && !value.length);
const newId = () => `block-${Math.random().toString(36).slice(2)}`;
const plain = (html) => new DOMParser().parseFromString(html, "text/html").body.textContent;

// --- What a schema says ------------------------------------------------------------------------------------------

// The schema itself, behind references and beside what may be left out.
function within(schema, definitions) {
  const found = schema.anyOf?.find((option) => option.type !== "null" && option.const === undefined) ?? schema;
  return found.$ref ? definitions[found.$ref.split("/").at(-1)] : found;
}

// What something new begins with: its first entries, where there have to be some.
function fresh(schema, definitions) {
  const found = within(schema, definitions);
  if (found.const !== undefined) return found.const;
  if (found.type === "array") return found.minItems ? [fresh(found.items, definitions)] : [];
  if (found.type !== "object") return "";
  const needed = Object.entries(found.properties).filter(([name, each]) => found.required?.includes(name) && !each.default);
  return Object.fromEntries(needed.map(([name, each]) => [name, fresh(each, definitions)]).filter(([, value]) => !isEmpty(value)));
}

// --- Fields ------------------------------------------------------------------------------------------------------

// Draws the fields of an object into a frame, and writes into the object what is filled in. `known` is what the server
// says of all types, `tell` says that something changed, `wrong` are the places that were refused: "actions/0/url".
class Form {
  constructor(known, definitions, tell, wrong) {
    Object.assign(this, { known, definitions, tell, wrong });
  }

  draw(schema, holder, at = "") {
    const names = Object.keys(schema.properties).filter((name) => name !== "type");
    const isSource = names.includes("asset_id") && names.includes("url");
    const order = [...names.filter((name) => name !== "anchor"), ...names.filter((name) => name === "anchor")];
    const cells = order.filter((name) => !(isSource && name === "asset_id")).map((name) =>
      isSource && name === "url" ? this.source(holder, at, schema.properties.type?.const === "video" ? "video" : "image") : this.cell(name, schema, holder, at));
    return make("div", { className: "cells" }, ...cells);
  }

  cell(name, schema, holder, at) {
    const found = within(schema.properties[name], this.definitions);
    const set = (value) => {
      if (isEmpty(value)) delete holder[name];
      else holder[name] = value;
      this.tell();
    };
    const place = at ? `${at}/${name}` : name;
    const field = { name, place, schema: found, value: holder[name], initial: schema.properties[name].default, set };
    if (found.type === "object") return this.part(field, holder);
    if (found.type === "array" && within(found.items, this.definitions).type === "object") return this.list(field, holder);
    return this.labelled(field, this.control(field), schema.required?.includes(name));
  }

  labelled({ name, place, schema }, control, isNeeded = false) {
    const input = control.matches("input, textarea, select") ? control : control.querySelector("input, textarea, select");
    input.id ||= newId();
    if (this.wrong.has(place)) input.setAttribute("aria-invalid", "true");
    const label = make("label", { textContent: nameOf(name), htmlFor: input.id });
    if (isNeeded) label.append(" ", make("span", { className: "needed", title: "needed", textContent: "*" }));
    if (schema.type === "boolean") return make("div", { className: "cell cell-flag" }, make("label", {}, input, " ", nameOf(name)));
    const isWide = control.matches("textarea, .chosen-many");
    return make("div", { className: `cell${isWide ? " cell-wide" : ""}` }, label, control);
  }

  control({ schema, value, initial, set }) {
    if (schema.type === "boolean") return make("input", { type: "checkbox", checked: value ?? initial ?? false, onchange: (event) => set(event.target.checked) });
    if (schema.enum) {
      const select = make("select", { onchange: () => set(select.value) }, ...schema.enum.map((word) => new Option(nameOf(word), word)));
      select.value = value ?? initial ?? schema.enum[0];
      return select;
    }
    if (schema.type === "integer") {
      const number = make("input", { type: "number", min: schema.minimum, max: schema.maximum, value: value ?? initial ?? "" });
      number.addEventListener("input", () => set(number.value === "" ? null : Number(number.value)));
      return number;
    }
    if (schema.type === "array") {
      if (this.finder(schema.items)) return this.chooser(this.finder(schema.items), value ?? [], true, set);
      const lines = make("textarea", { rows: 4, value: (value ?? []).join("\n"), placeholder: "One a line" });
      lines.addEventListener("input", () => set(lines.value.split("\n").map((line) => line.trim()).filter(Boolean)));
      return lines;
    }
    if (this.finder(schema)) return this.chooser(this.finder(schema), value ? [value] : [], false, ([chosen]) => set(chosen));
    const isLong = schema.maxLength >= 1000 && !schema.pattern?.includes("https?");
    const text = isLong ? make("textarea", { rows: schema.maxLength > 10_000 ? 8 : schema.maxLength > 1000 ? 3 : 2 }) : make("input", { type: "text" });
    text.value = value ?? initial ?? "";
    if (schema.maxLength > 50_000) text.classList.add("is-code");
    text.addEventListener("input", () => set(text.value));
    return text;
  }

  // Where rows with ids of this kind are found, by how their ids begin.
  finder(schema) {
    const prefix = /^\^\((\w+)_/.exec(within(schema, this.definitions).pattern ?? "")?.[1];
    return prefix && this.known.find[prefix];
  }

  chooser(address, ids, isMany, set) {
    const select = make("select", { multiple: isMany, id: newId() });
    select.dataset.find = address;
    select.hidden = true;
    const frame = make("div", { className: isMany ? "chosen-many" : "" }, select);
    select.append(...ids.map((id) => new Option(id, id, true, true)));
    select.addEventListener("change", () => set(every("option", select).filter((option) => option.value && option.selected).map((option) => option.value)));
    named(address, ids).then((rows) => {
      every("option", select).forEach((option) => { option.text = rows.get(option.value)?.text ?? option.text; });
      choose(select);
    });
    return frame;
  }

  // A file of the library, or one that is elsewhere.
  source(holder, at, kind) {
    const input = make("input", { type: "text", autocomplete: "off", value: holder.url ?? "", placeholder: "https://… or from the library" });
    const place = at ? `${at}/url` : "url";
    const picture = make("span", { className: "row-picture" });
    const show = (address) => picture.replaceChildren(...(/^\/(?!\/)/.test(address ?? "") && kind === "image" ? [make("img", { src: address, alt: "", width: 48, height: 48 })] : []));
    const frame = make("div", { className: "row block-source" }, input, picture);
    if (this.known.find.asset) input.dataset.library = this.known.find.asset;
    input.dataset.kind = kind;
    input.addEventListener("picked", ({ detail }) => { delete holder.url; holder.asset_id = detail.id; this.tell(); });
    input.addEventListener("input", () => {
      delete holder.asset_id;
      if (input.value) holder.url = input.value;
      else delete holder.url;
      show(input.value);
      this.tell();
    });
    pick(input);
    const id = holder.asset_id;
    if (id) named(this.known.find.asset, [id]).then((rows) => {
      if (holder.asset_id !== id) return; // another one was chosen meanwhile
      const row = rows.get(id);
      input.value = row?.address ?? id;
      show(row?.picture);
    });
    else show(holder.url);
    const isWrong = this.wrong.has(place) || this.wrong.has(at ? `${at}/asset_id` : "asset_id");
    if (isWrong) this.wrong.add(place);
    return this.labelled({ name: "file", place, schema: {} }, frame);
  }

  part({ name, place, schema, value, set }) {
    const frame = make("fieldset", { className: "block-part" });
    const draw = (held) => {
      const legend = make("legend", { textContent: nameOf(name) });
      const tool = held
        ? make("button", { type: "button", className: "row-button", textContent: "×", onclick: () => { set(null); draw(null); } })
        : make("button", { type: "button", className: "block-add", textContent: `Add ${nameOf(name).toLowerCase()}`, onclick: () => {
          const begun = fresh(schema, this.definitions);
          set(begun);
          draw(begun);
        } });
      if (held) tool.setAttribute("aria-label", `Remove ${nameOf(name).toLowerCase()}`);
      frame.replaceChildren(...(held ? [legend, tool, this.draw(schema, held, place)] : [tool]));
    };
    draw(value);
    return frame;
  }

  list({ name, place, schema, value, set }) {
    const one = within(schema.items, this.definitions);
    const called = one.title.toLowerCase();
    const held = value ?? [];
    const frame = make("fieldset", { className: "block-list" });
    const draw = () => {
      const entries = held.map((entry, index) => make("div", { className: "block-entry" },
        tools(held, index, called, (label) => { this.wrong.clear(); set(held); draw(); focusOn(frame.querySelectorAll(":scope > .block-entry"), index, label); }), this.draw(one, entry, `${place}/${index}`)));
      const add = make("button", { type: "button", className: "block-add", textContent: `Add ${called}`, disabled: held.length >= schema.maxItems, onclick: () => {
        held.push(fresh(one, this.definitions));
        set(held);
        draw();
        frame.querySelector(".block-entry:last-of-type :is(input, textarea)")?.focus();
      } });
      frame.replaceChildren(make("legend", { textContent: nameOf(name) }), ...entries, add);
      if (this.wrong.has(place)) frame.classList.add("is-wrong");
    };
    draw();
    return frame;
  }
}

// Buttons that move an entry of a list and take it out.
function tools(entries, index, called, changed) {
  const button = (label, sign, act, isOff = false) => {
    const made = make("button", { type: "button", className: "row-button", textContent: sign, disabled: isOff, onclick: (event) => { event.preventDefault(); act(); changed(label); } });
    made.setAttribute("aria-label", `${label} ${called}`);
    return made;
  };
  const swap = (other) => () => { [entries[index], entries[other]] = [entries[other], entries[index]]; };
  return make("span", { className: "block-tools" },
    button("Move up", "↑", swap(index - 1), index === 0),
    button("Move down", "↓", swap(index + 1), index === entries.length - 1),
    button("Remove", "×", () => entries.splice(index, 1)));
}

// Cards are drawn anew once they moved: who works with keys goes on with the same one.
function focusOn(cards, index, label) {
  const card = cards[index + ({ "Move up": -1, "Move down": 1 }[label] ?? 0)] ?? cards[cards.length - 1];
  (card?.querySelector(`.block-tools [aria-label^="${label}"]:not(:disabled)`) ?? card?.querySelector("summary, input, textarea"))?.focus();
}

async function named(address, ids) {
  if (!address || !ids.length) return new Map();
  try {
    const answer = await fetch(`${address}?${new URLSearchParams(ids.map((id) => ["id", id]))}`);
    return new Map(answer.ok ? (await answer.json()).found.map((row) => [row.id, row]) : []);
  } catch {
    return new Map(); // without their names, ids are shown
  }
}

// --- A body ------------------------------------------------------------------------------------------------------

let asked = null;
const known = (address) => (asked ??= fetch(address).then((answer) => answer.json()).catch(() => { asked = null; }));

// Blocks as the text has them; null where it is not a list of objects, which is mended as text.
function read(text) {
  try {
    const found = JSON.parse(text.trim() || "[]");
    return Array.isArray(found) && found.every((block) => block && typeof block === "object" && !Array.isArray(block)) ? found : null;
  } catch {
    return null;
  }
}

async function compose(writer) {
  const area = writer.querySelector("textarea");
  const format = document.getElementsByName(area.name.replace(/body$/, "format"))[0];
  const wrongs = (writer.dataset.wrong ?? "").split(" ").filter(Boolean);
  const frame = make("div", { className: "blocks", hidden: true });
  const toggle = make("button", { type: "button", className: "block-toggle" });
  const opened = new WeakSet();
  let isText = false, blocks = null, types = null, isFirst = true;

  const tell = () => {
    area.value = blocks.length ? JSON.stringify(blocks, null, 2) : "";
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const card = (block, index) => {
    const type = types.byName.get(block.type);
    const wrong = new Set(isFirst ? wrongs.filter((place) => place.split("/")[0] === String(index)).map((place) => place.split("/").slice(1).join("/")) : []);
    const summary = make("summary");
    const title = () => {
      const said = [block.title, block.text, block.html && plain(block.html), block.items?.[0]?.question].find((text) => typeof text === "string" && text) ?? "";
      summary.replaceChildren(make("strong", { textContent: type?.label ?? block.type ?? "Unknown" }), make("span", { textContent: said.slice(0, 80) }),
        tools(blocks, index, "block", (label) => { isFirst = false; tell(); draw(); focusOn(every(".block-card", frame), index, label); }));
    };
    const form = new Form(types, type?.schema.$defs ?? {}, () => { tell(); title(); }, wrong);
    const details = make("details", { className: `block-card${wrong.size ? " is-wrong" : ""}`, open: opened.has(block) || wrong.size > 0 || blocks.length === 1 }, summary);
    details.addEventListener("toggle", () => (details.open ? opened.add(block) : opened.delete(block)));
    title();
    details.append(...(type
      ? [make("p", { className: "help", textContent: type.help }), form.draw(type.schema, block)]
      : [make("p", { className: "help", textContent: "No block of this type is written any more. It is changed as JSON." })]));
    return details;
  };
  const palette = () => make("details", { className: "block-palette" }, make("summary", { textContent: "Add a block" }),
    make("div", { className: "block-types" }, ...[...types.byName.values()].map((type) => make("button", { type: "button", onclick: () => {
      const block = fresh(type.schema, type.schema.$defs ?? {});
      blocks.push(block);
      opened.add(block);
      isFirst = false;
      tell();
      draw();
      every(".block-card", frame).at(-1).querySelector(":is(input, textarea, select)")?.focus();
    } }, make("strong", { textContent: type.label }), make("small", { textContent: type.help })))));
  const draw = () => frame.replaceChildren(...blocks.map(card), palette());
  const show = async () => {
    const isJson = format.value === "json";
    if (isJson && !types) {
      const told = await known(writer.dataset.blocks);
      if (told) types = { find: told.find, byName: new Map(told.types.map((type) => [type.name, { ...type, label: nameOf(type.name), help: type.help.replaceAll("`", "") }])) };
    }
    blocks = isJson && !isText && types ? read(area.value) : null;
    try {
      if (blocks) draw();
    } catch {
      blocks = null; // a block from before holds what no form has a field for
    }
    frame.hidden = !blocks;
    area.hidden = !frame.hidden;
    toggle.hidden = !isJson;
    toggle.textContent = frame.hidden ? "As forms" : "As JSON";
    toggle.disabled = frame.hidden && !read(area.value);
  };
  toggle.addEventListener("click", () => { isText = !frame.hidden; isFirst = false; show(); });
  area.addEventListener("input", () => { if (frame.hidden) toggle.disabled = !read(area.value); });
  format.addEventListener("change", show);
  area.before(frame);
  writer.prepend(toggle);
  await show();
}

every(".writer[data-blocks]").forEach(compose);

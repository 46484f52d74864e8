// What pages can do beyond their forms. All of it works on top of plain HTML: without this file every page still saves.

const every = (selector, within = document) => [...within.querySelectorAll(selector)];
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const token = () => document.querySelector("input[name=csrfmiddlewaretoken]").value;

// --- Choosers: a search over rows of another screen, in the place of a select -----------------------------------

function choose(select) {
  if (select.disabled || select.dataset.ready) return;
  select.dataset.ready = "yes";
  const isMany = select.multiple;
  const search = make("input", { type: "text", autocomplete: "off", placeholder: "Search…", id: `${select.id}-search` });
  const found = make("ul", { className: "chooser-found", hidden: true, id: `${select.id}-found` });
  const chips = make("div", { className: "chooser-chips" });
  const frame = make("div", { className: "chooser" }, chips, search, found);
  Object.entries({ role: "combobox", "aria-expanded": "false", "aria-controls": found.id, "aria-autocomplete": "list" })
    .forEach(([name, value]) => search.setAttribute(name, value));
  found.setAttribute("role", "listbox");
  const label = document.querySelector(`label[for="${CSS.escape(select.id)}"]`);
  if (label) label.htmlFor = search.id;
  let asking = null, timer = null;

  const changed = () => { draw(); select.dispatchEvent(new Event("change", { bubbles: true })); };
  const drop = (option) => { option.remove(); if (!isMany) select.value = ""; changed(); };
  const take = ({ id, text }) => {
    if (!isMany) every("option", select).filter((option) => option.value).forEach((option) => option.remove());
    if (!every("option", select).some((option) => option.value === id)) select.append(new Option(text, id, true, true));
    search.value = "";
    close();
    changed();
    search.focus();
  };
  const draw = () => chips.replaceChildren(...every("option", select).filter((option) => option.value && option.selected).map((option) => {
    const away = make("button", { type: "button", textContent: "×", onclick: () => drop(option) });
    away.setAttribute("aria-label", `Remove ${option.text}`);
    return make("span", { className: "chip" }, option.text, away);
  }));
  const close = () => { found.hidden = true; search.setAttribute("aria-expanded", "false"); };
  const show = (rows) => {
    found.replaceChildren(...(rows.length ? rows.map((row, index) => {
      const line = make("li", { textContent: row.text, onmousedown: (event) => { event.preventDefault(); take(row); } });
      line.setAttribute("role", "option");
      line.setAttribute("aria-selected", String(index === 0));
      line.row = row;
      return line;
    }) : [make("li", { textContent: "Nothing is called that." })]));
    found.hidden = false;
    search.setAttribute("aria-expanded", "true");
  };
  const ask = async () => {
    asking?.abort();
    asking = new AbortController();
    try {
      const answer = await fetch(`${select.dataset.find}?${new URLSearchParams({ q: search.value })}`, { signal: asking.signal });
      if (answer.ok) show((await answer.json()).found);
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  };
  search.addEventListener("focus", ask);
  search.addEventListener("blur", close);
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 150); });
  search.addEventListener("keydown", (event) => {
    const lines = every("[role=option]", found);
    const at = lines.findIndex((line) => line.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") return close();
    if (event.key === "Enter") {
      event.preventDefault();
      if (!found.hidden && lines[at]) take(lines[at].row);
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && lines.length) {
      event.preventDefault();
      lines.forEach((line) => line.setAttribute("aria-selected", "false"));
      const next = lines[(at + step + lines.length) % lines.length];
      next.setAttribute("aria-selected", "true");
      next.scrollIntoView({ block: "nearest" });
    }
  });
  select.hidden = true;
  select.after(frame);
  draw();
}

// --- Pictures: one of the library, or one that comes into it now -------------------------------------------------

function pick(input) {
  if (input.disabled || input.dataset.ready || !input.dataset.library) return;
  input.dataset.ready = "yes";
  const { library: find, kind = "image" } = input.dataset;
  const search = make("input", { type: "text", autocomplete: "off", placeholder: "Search the library…" });
  search.setAttribute("aria-label", "Search the library");
  const found = make("div", { className: "picker-found" });
  const said = make("p", { className: "problem", hidden: true });
  said.setAttribute("role", "alert");
  const panel = make("div", { className: "picker", hidden: true }, search, found);
  const file = make("input", { type: "file", accept: `${kind}/*`, hidden: true });
  let timer = null;

  const say = (text) => { said.textContent = text; said.hidden = !text; };
  const take = (row) => {
    const { address, picture } = row;
    input.value = address;
    const frame = input.closest(".row")?.querySelector(".row-picture");
    frame?.replaceChildren(make("img", { src: picture || address, alt: "", width: 48, height: 48 }));
    panel.hidden = true;
    say("");
    input.dispatchEvent(new CustomEvent("picked", { detail: row }));
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const ask = async () => {
    const answer = await fetch(`${find}?${new URLSearchParams({ q: search.value, kind })}`);
    const rows = answer.ok ? (await answer.json()).found : [];
    found.replaceChildren(...(rows.length ? rows.map((row) => make(
      "button", { type: "button", title: row.text, onclick: () => take(row) }, make("img", { src: row.picture, alt: row.text, loading: "lazy" }), ...(kind === "image" ? [] : [row.text]),
    )) : [make("p", { className: "help", textContent: "Nothing is called that." })]));
  };
  const send = async () => {
    const body = new FormData();
    body.append("file", file.files[0]);
    say("");
    const answer = await fetch(find.replace(/find\/$/, "upload/"), { method: "POST", body, headers: { "X-CSRFToken": token(), Accept: "application/json" } });
    const told = answer.headers.get("Content-Type")?.startsWith("application/json") ? await answer.json() : {};
    if (told.taken?.length) take(told.taken[0]);
    else say(told.refused?.[0]?.reason ?? "The file could not be sent.");
    file.value = "";
  };
  const open = make("button", { type: "button", textContent: "Library", onclick: () => {
    panel.hidden = !panel.hidden;
    if (!panel.hidden) { ask(); search.focus(); }
  } });
  const upload = make("button", { type: "button", textContent: "Upload…", onclick: () => file.click() });
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 150); });
  search.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  file.addEventListener("change", () => { if (file.files.length) send(); });
  input.after(make("span", { className: "picker-tools" }, open, upload, file), panel, said);
}

function drop(form) {
  const file = form.querySelector("input[type=file]");
  const over = (event) => { event.preventDefault(); form.classList.add("is-over"); };
  form.addEventListener("dragover", over);
  form.addEventListener("dragleave", () => form.classList.remove("is-over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("is-over");
    file.files = event.dataTransfer.files;
  });
}

// Rows of a tree say their level, which is moved by buttons and seen by how far in they stand.
function levelButtons(row, button, tell) {
  const level = row.querySelector("select[name$='/level']");
  if (!level) return [];
  level.closest("td").classList.add("row-level");
  const show = () => { row.dataset.level = level.value; };
  const step = (by) => () => {
    const wanted = level.selectedIndex + by;
    if (wanted >= 0 && wanted < level.options.length) level.selectedIndex = wanted;
    show();
    tell();
  };
  level.addEventListener("change", show);
  row.addEventListener("change", () => offerTitle(row));
  queueMicrotask(() => offerTitle(row));
  queueMicrotask(show);
  return [button("Further out", "←", step(-1)), button("Further in", "→", step(1))];
}

// Without a title of its own an item has that of what it leads to.
function offerTitle(row) {
  const chosen = every("select[data-find] option", row).find((option) => option.value && option.selected);
  every("input[name*='/titles/']", row).forEach((title) => { title.placeholder = chosen?.text ?? ""; });
}

// --- Rows: add, remove, move ------------------------------------------------------------------------------------

function arrange(section) {
  const name = section.dataset.rows;
  const table = section.querySelector("table.rows");
  const template = section.querySelector("template");
  if (!template) return;
  const tell = () => table.dispatchEvent(new Event("change", { bubbles: true }));
  const button = (label, sign, act) => {
    const made = make("button", { type: "button", className: "row-button", textContent: sign, onclick: act });
    made.setAttribute("aria-label", label);
    return made;
  };
  const equip = (row) => {
    const gone = row.querySelector(".row-gone");
    if (!gone) return;
    gone.replaceWith(
      button("Move up", "↑", () => { row.previousElementSibling?.matches(".row") && row.previousElementSibling.before(row); tell(); }),
      button("Move down", "↓", () => { row.nextElementSibling?.matches(".row") && row.nextElementSibling.after(row); tell(); }),
      ...levelButtons(row, button, tell),
      button("Remove", "×", () => { row.remove(); tell(); }),
    );
    every("select[data-find]", row).forEach(choose);
    every("input[data-library]", row).forEach(pick);
    every(".writer", row).forEach(write);
  };
  every(".row", table).forEach(equip);
  section.querySelector("button[name=_add]")?.addEventListener("click", (event) => {
    if (name === "options") return; // the columns of other tables follow: the server draws the page anew
    event.preventDefault();
    const numbers = every(".row", table).map((row) => Number(/^new(\d+)$/.exec(row.dataset.row)?.[1] ?? 0));
    const row = template.content.querySelector(".row").cloneNode(true);
    const fresh = `new${Math.max(0, ...numbers) + 1}`;
    every("*", row).concat(row).forEach((element) => [...element.attributes].forEach((attribute) => {
      if (attribute.value.includes("__row__")) attribute.value = attribute.value.replaceAll("__row__", fresh);
    }));
    const before = every("select[name$='/level']", table).at(-1);
    table.append(row);
    const level = row.querySelector("select[name$='/level']");
    if (before && level) level.value = before.value;
    if (name === "variants") every("input[name$='/manage_inventory'], input[name$='/requires_shipping']", row).forEach((box) => { box.checked = true; });
    equip(row);
    row.querySelector("input:not([type=hidden]), textarea, select")?.focus();
    tell();
  });
}

// --- Languages: side by side, each to be put away ---------------------------------------------------------------

function offerLanguages(section) {
  const panels = every(".panel", section);
  if (panels.length < 2) return;
  const most = window.matchMedia("(max-width: 767px)").matches ? 1 : 2;
  const wrong = panels.filter((panel) => panel.matches(".is-wrong"));
  const filled = panels.filter((panel) => !panel.matches(".is-missing"));
  const first = new Set([...wrong, ...(filled.length ? filled : panels)].slice(0, Math.max(most, wrong.length)));
  const called = new Intl.DisplayNames([document.documentElement.lang || "en"], { type: "language", fallback: "code" });
  const tabs = panels.map((panel) => {
    const tab = make("button", { type: "button", className: "tab", textContent: called.of(panel.dataset.language) });
    panel.querySelector("legend").firstChild.textContent = tab.textContent + " ";
    if (panel.matches(".is-missing")) tab.append(" ", make("small", { textContent: "missing" }));
    tab.classList.toggle("is-wrong", panel.matches(".is-wrong"));
    const set = (isShown) => { panel.hidden = !isShown; tab.setAttribute("aria-pressed", String(isShown)); };
    set(first.has(panel));
    tab.addEventListener("click", () => {
      const shown = panels.filter((other) => !other.hidden);
      if (panel.hidden && shown.length >= most) tabs[panels.indexOf(shown.at(-1))].set(false);
      if (panel.hidden || shown.length > 1) set(panel.hidden);
    });
    return Object.assign(tab, { set });
  });
  const bar = make("div", { className: "tabs" }, ...tabs);
  bar.setAttribute("role", "group");
  bar.setAttribute("aria-label", "Languages");
  section.querySelector(".panels").before(bar);
}

// --- Writing: a few marks, and what it looks like, as our own server renders it ---------------------------------

const MARKS = {
  markdown: { Bold: ["**", "**"], Italic: ["_", "_"], Heading: ["\n## ", "\n"], List: ["\n- ", ""], Quote: ["\n> ", ""], Link: ["[", "](https://)"], Code: ["`", "`"] },
  html: { Bold: ["<strong>", "</strong>"], Italic: ["<em>", "</em>"], Heading: ["<h2>", "</h2>"], List: ["<ul><li>", "</li></ul>"], Paragraph: ["<p>", "</p>"], Link: ['<a href="https://">', "</a>"] },
};

function write(writer) {
  if (writer.dataset.ready) return;
  writer.dataset.ready = "yes";
  const area = writer.querySelector("textarea");
  const chosen = document.getElementsByName(area.name.replace(/body$/, "format"))[0];
  const format = () => (chosen && chosen !== area ? chosen.value : "html");
  const bar = make("div", { className: "writer-bar" });
  const view = make("iframe", { className: "writer-view", hidden: true, title: "Preview" });
  view.setAttribute("sandbox", "allow-same-origin"); // no scripts; of our origin, as its style sheet is for that only
  let timer = null;

  const wrap = ([before, after]) => {
    const { selectionStart: from, selectionEnd: to, value } = area;
    area.focus();
    area.setRangeText(before + value.slice(from, to) + after, from, to, "end");
    if (from === to) area.setSelectionRange(from + before.length, from + before.length);
    area.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const draw = () => {
    const marks = MARKS[format()] ?? {};
    const look = make("button", { type: "button", className: "is-right", textContent: view.hidden ? "Preview" : "Hide preview" });
    look.addEventListener("click", () => {
      view.hidden = !view.hidden;
      writer.classList.toggle("has-view", !view.hidden);
      draw();
      render();
      view.scrollIntoView({ block: "nearest" });
    });
    bar.replaceChildren(...Object.entries(marks).map(([label, around]) =>
      make("button", { type: "button", textContent: label, onclick: () => wrap(around) })), ...(writer.dataset.preview ? [look] : []));
  };
  const render = async () => {
    if (view.hidden || !writer.dataset.preview) return;
    const answer = await fetch(writer.dataset.preview, {
      method: "POST",
      headers: { "X-CSRFToken": token() },
      body: new URLSearchParams({ format: format(), body: area.value }),
    });
    view.srcdoc = await answer.text();
  };
  area.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(render, 300); });
  chosen?.addEventListener("change", () => { draw(); render(); });
  area.before(bar);
  area.after(view);
  draw();
}

// --- The tree: arrows, and dragging -----------------------------------------------------------------------------

function grow(tree) {
  const rows = () => every(".tree-row", tree);
  const form = tree.closest("form");
  const send = async (fields) => {
    const body = new URLSearchParams({ csrfmiddlewaretoken: token(), ...fields });
    const answer = await fetch(form.action, { method: "POST", body, headers: { "X-Requested-With": "XMLHttpRequest" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const selector of [".tree", ".messagelist"]) {
      const fresh = page.querySelector(selector);
      const old = document.querySelector(selector);
      if (fresh && old) old.replaceWith(fresh);
      else if (fresh) document.querySelector("#content-start").prepend(fresh);
      else if (selector === ".messagelist") old?.remove();
    }
    grow(document.querySelector(".tree"));
    document.querySelector(`[data-node="${fields.node}"] .tree-name`)?.focus();
  };
  const open = async (button) => {
    const item = button.closest("li");
    const below = item.querySelector(":scope > ul");
    if (below) {
      below.hidden = !below.hidden;
    } else {
      const answer = await fetch(button.href);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.querySelector(`[data-node="${item.dataset.node}"] > ul`);
      if (fresh) item.append(fresh);
    }
    const isOpen = !item.querySelector(":scope > ul")?.hidden;
    button.textContent = isOpen ? "▾" : "▸";
    button.setAttribute("aria-expanded", String(isOpen));
  };
  tree.addEventListener("click", (event) => {
    const button = event.target.closest("a.tree-open");
    if (button) { event.preventDefault(); open(button); }
    const move = event.target.closest("button[name=move]");
    if (move) { event.preventDefault(); send({ move: move.value, node: move.closest("li").dataset.node, open: opened(tree) }); }
  });
  tree.addEventListener("keydown", (event) => {
    const name = event.target.closest(".tree-name");
    if (!name) return;
    const item = name.closest("li");
    const moves = { ArrowUp: "up", ArrowDown: "down", ArrowLeft: "outdent", ArrowRight: "indent" };
    if (event.altKey && moves[event.key]) {
      event.preventDefault();
      return send({ move: `${moves[event.key]}:${item.dataset.node}`, node: item.dataset.node, open: opened(tree) });
    }
    const visible = rows().filter((row) => row.offsetParent).map((row) => row.querySelector(".tree-name"));
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) { event.preventDefault(); visible[visible.indexOf(name) + step]?.focus(); }
    const button = item.querySelector(":scope > .tree-row a.tree-open");
    const isOpen = button?.getAttribute("aria-expanded") === "true";
    if ((event.key === "ArrowRight" && button && !isOpen) || (event.key === "ArrowLeft" && isOpen)) { event.preventDefault(); open(button); }
  });
  let dragged = null;
  const place = (row, event) => {
    const { top, height } = row.getBoundingClientRect();
    const at = (event.clientY - top) / height;
    return at < 0.3 ? "before" : at > 0.7 ? "after" : "within";
  };
  const clear = () => rows().forEach((row) => row.classList.remove("is-before", "is-after", "is-within"));
  tree.addEventListener("dragstart", (event) => {
    dragged = event.target.closest("li");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.dataset.node);
  });
  tree.addEventListener("dragover", (event) => {
    const row = event.target.closest(".tree-row");
    if (!dragged || !row || dragged.contains(row)) return;
    event.preventDefault();
    clear();
    row.classList.add(`is-${place(row, event)}`);
  });
  tree.addEventListener("dragend", () => { clear(); dragged = null; });
  tree.addEventListener("drop", (event) => {
    const row = event.target.closest(".tree-row");
    if (!dragged || !row || dragged.contains(row)) return;
    event.preventDefault();
    const node = dragged.dataset.node;
    send({ move: `${place(row, event)}:${node}`, at: row.closest("li").dataset.node, node, open: opened(tree) });
  });
}

const opened = (tree) => every('a.tree-open[aria-expanded="true"]', tree).map((button) => button.closest("li").dataset.node).join(",");

// --- All of a page ----------------------------------------------------------------------------------------------

function watch(form) {
  const sign = form.querySelector(".desk-unsaved");
  let isDirty = false;
  const dirty = () => { isDirty = true; if (sign) sign.hidden = false; };
  form.addEventListener("input", dirty);
  form.addEventListener("change", dirty);
  form.addEventListener("submit", () => { isDirty = false; });
  window.addEventListener("beforeunload", (event) => { if (isDirty) event.preventDefault(); });
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key === "s") { event.preventDefault(); form.requestSubmit(); }
  });
}

// --- Lists: filters out of the way until they are wanted -----------------------------------------------------------

function foldFilters(filters) {
  const button = make("button", { type: "button", className: "filter-button", textContent: "Filters" });
  const set = (isShown) => { filters.hidden = !isShown; button.setAttribute("aria-expanded", String(isShown)); };
  const place = document.querySelector("#changelist-search > div") ?? document.querySelector("#changelist .actions");
  if (!place) return;
  set(new URLSearchParams(location.search).keys().some((name) => !["q", "o", "p", "e"].includes(name)));
  button.addEventListener("click", () => set(filters.hidden));
  place.append(button);
}

// --- Phones: the list of screens is a button away -------------------------------------------------------------------

function offerScreens(screens) {
  const button = make("button", { type: "button", className: "screens-button", textContent: "All screens" });
  const set = (isShown) => { screens.classList.toggle("is-open", isShown); button.setAttribute("aria-expanded", String(isShown)); };
  button.setAttribute("aria-controls", screens.id);
  button.addEventListener("click", () => set(!screens.matches(".is-open")));
  set(false);
  document.querySelector("#user-tools")?.before(button);
}

// For the scripts of single screens, which come after this one.
globalThis.desk = { every, make, choose, pick };

every("#nav-sidebar").forEach(offerScreens);
every("#changelist-filter").forEach(foldFilters);
every("[data-languages]").forEach(offerLanguages);
every("[data-rows]").forEach(arrange);
every("select[data-find]").forEach(choose);
every("input[data-library]").forEach(pick);
every(".writer").forEach(write);
every("form[data-drop]").forEach(drop);
every(".tree").forEach(grow);
every("form[data-watch]").forEach(watch);
// Tokens of mails stand behind the # of an address, which no server sees.
every("input[data-from-address]").forEach((input) => { input.value ||= location.hash.split("=")[1] ?? ""; });
document.querySelector("[data-focus]")?.focus();

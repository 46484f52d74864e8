// Watches an import: asks how far it is until it stands still, then shows the page anew with what can be done now.
const page = document.querySelector("[data-watch]");
const AT_WORK = new Set(["queued", "running", "undoing"]);
const place = (name) => page.querySelector(`[data-shown="${name}"]`);
const number = (value) => new Intl.NumberFormat(document.documentElement.lang || "en").format(value);

function show(run) {
  place("status").textContent = run.status;
  const isUndoing = run.status === "undoing";
  const done = isUndoing ? run.undone + run.left : run.done;
  const total = isUndoing ? run.touched : run.total;
  const bar = place("bar");
  if (total) {
    bar.max = total;
    bar.value = done;
  } else {
    bar.removeAttribute("value");
  }
  place("done").textContent = number(done);
  place("total").textContent = number(total);
  const rate = run.per_second ? `, ${number(Math.round(run.per_second))} a second` : "";
  const left = run.seconds_left === null ? "" : `, ${number(run.seconds_left)} s left`;
  place("rate").textContent = rate + left;
  place("notes").textContent = number(run.notes);
  place("reason").textContent = run.reason;
  place("reason").hidden = !run.reason;
  place("tally").replaceChildren(...run.lines.map(({ kind, counts }) => {
    const line = document.createElement("li");
    const told = Object.entries(counts).map(([name, count]) => `${number(count)} ${name}`);
    line.textContent = `${kind}: ${told.join(", ") || "0"}`;
    return line;
  }));
}

async function watch() {
  try {
    const answer = await fetch(page.dataset.watch, { headers: { Accept: "application/json" }, redirect: "error" });
    if (!answer.ok) return;
    const run = await answer.json();
    show(run);
    if (!AT_WORK.has(run.status)) {
      location.reload();
      return;
    }
  } catch {
    // Nobody answers at the moment; asked again below.
  }
  setTimeout(watch, 1000);
}

if (page && AT_WORK.has(page.dataset.status)) watch();

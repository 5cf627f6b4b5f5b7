// Builds what stands around the roll: mixer, legend, problems, a note's description, the list of keys.

import { clock } from "./roll.js";

export const $ = (id) => document.getElementById(id);

const WORDS = { added: "added", changed: "changed", deleted: "deleted", unread: "not readable" };
const TITLES = { Drum: "Drums", context: "Around this task" };
const SIGNS = {
  ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", N: "Shift N", PageUp: "Page ↑", PageDown: "Page ↓",
};

export function make(tag, className = "", words = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = words;
  return element;
}

// A row per instrument; `act` has solo(name), mute(name) and choose(place).
export function drawMixer(instruments, act) {
  const button = (kind, sign, tip, action) => {
    const element = make("button", kind, sign);
    element.title = tip;
    element.addEventListener("click", action);
    return element;
  };
  $("instruments").replaceChildren(...instruments.map(({ name, colour, notes }, place) => {
    const row = make("div", "instrument");
    const title = TITLES[name] ?? name;
    const swatch = make("i", "swatch");
    swatch.style.background = colour;
    row.dataset.name = name;
    row.append(
      swatch, make("span", "name", title), make("span", "count", String(notes)),
      button("solo", "S", `Only ${title} (S)`, () => act.solo(name)),
      button("mute", "M", `Without ${title} (M)`, () => act.mute(name)),
    );
    row.addEventListener("pointerdown", () => act.choose(place));
    return row;
  }));
}

export function markMixer(audible, solo, mute) {
  for (const row of document.querySelectorAll(".instrument")) {
    const { name } = row.dataset;
    row.classList.toggle("silent", !audible(name));
    row.querySelector(".solo").setAttribute("aria-pressed", String(solo.has(name)));
    row.querySelector(".mute").setAttribute("aria-pressed", String(mute.has(name)));
  }
}

// Marks the row that keys act on; returns its place.
export function chooseRow(place) {
  const rows = [...document.querySelectorAll(".instrument")];
  const chosen = Math.max(0, Math.min(place, rows.length - 1));
  rows.forEach((row, each) => row.classList.toggle("chosen", each === chosen));
  rows[chosen]?.scrollIntoView({ block: "nearest" });
  return chosen;
}

export function drawLegend(notes) {
  const own = notes.filter((note) => note.own);
  const count = (state) => own.filter((note) => note.state === state).length;
  for (const item of $("legend").children) {
    const { state } = item.dataset;
    item.querySelector("span").textContent = `${count(state)} ${WORDS[state]}`;
    item.classList.toggle("none", !count(state));
    item.hidden = state === "unread" && !count(state);
  }
  const changes = count("added") + count("changed") + count("deleted");
  const total = own.length - count("deleted") - count("unread");
  $("counts").textContent = `${total} ${total === 1 ? "note" : "notes"}, ${changes} ${changes === 1 ? "change" : "changes"}`;
}

export function drawProblems(problems) {
  $("problems").hidden = !problems.length;
  const many = problems.length > 1;
  const head = many ? `${problems.length} problems with this draft; all else plays.` : "A problem with this draft; all else plays.";
  const list = make("ul");
  list.append(...problems.map((problem) => make("li", "", problem)));
  $("problems").replaceChildren(make("strong", "", head), list);
}

// Describes a note beside the pointer; none hides it.
export function describe(note, event) {
  const place = $("tip");
  place.hidden = !note;
  if (!note) return;
  const length = (each) => `${(each.offset_s - each.onset_s).toFixed(3)} s`;
  const lines = [
    make("strong", "", TITLES[note.instrument] ?? note.instrument),
    make("span", "", `${note.name} (${note.drum ? "key" : "pitch"} ${note.pitch})`),
    make("span", "", `${clock(note.onset_s)} – ${clock(note.offset_s)} (${length(note)})`),
    make("span", "", `velocity ${note.velocity}`),
  ];
  if (!note.own) lines.push(make("span", "dim", "not of this task"));
  if (note.before) {
    const was = note.before;
    const old = {
      moved: `at ${clock(was.onset_s)}`, resized: `${length(was)} long`, pitch: was.name, instrument: was.instrument,
      velocity: `velocity ${was.velocity}`,
    };
    lines.push(make("span", "changed", `changed; was ${note.kinds.map((kind) => old[kind]).join(", ")}`));
  } else if (note.state) {
    lines.push(make("span", note.state, note.state === "unread" ? "cannot be read in the draft" : WORDS[note.state]));
  }
  place.replaceChildren(...lines);
  const box = $("roll").getBoundingClientRect();
  const [x, y] = [event.clientX - box.left, event.clientY - box.top];
  place.style.left = `${Math.min(x + 14, box.width - place.offsetWidth - 6)}px`;
  place.style.top = `${y + 18 + place.offsetHeight > box.height ? y - place.offsetHeight - 10 : y + 18}px`;
}

// The list of keys; groups are [heading, [[keys, words]]].
export function drawHelp(groups) {
  $("help-keys").replaceChildren(...groups.map(([heading, rows]) => {
    const list = make("dl");
    for (const [keys, words] of rows) {
      const term = make("dt");
      term.append(...keys.map((key) => make("kbd", "", SIGNS[key] ?? (key.length === 1 ? key.toUpperCase() : key))));
      list.append(term, make("dd", "", words));
    }
    const section = make("section");
    section.append(make("h3", "", heading), list);
    return section;
  }));
}

// A moment of ISO 8601 as people write it here: the time, and the day if it is not today. Anything else as it is.
export function moment(text) {
  const then = new Date(text);
  if (Number.isNaN(then.getTime())) return text;
  const day = then.toDateString() === new Date().toDateString() ? "" : `${then.toLocaleDateString()} `;
  return day + then.toLocaleTimeString();
}

export function say(words, bad = false) {
  $("saved").textContent = words;
  $("saved").classList.toggle("bad", bad);
}

export function cover(title, words, more = null) {
  $("cover-title").textContent = title;
  $("cover-text").textContent = words;
  $("cover-more").replaceChildren(...(more ? [more] : []));
  $("cover").hidden = false;
}

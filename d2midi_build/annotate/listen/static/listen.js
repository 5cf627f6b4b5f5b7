// The page: reads the draft and its sounds, and connects player, roll, buttons, mouse and keys.

import { ORIGINAL, Refused, Sounds, VIDEO, readDraft } from "./draft.js";
import { $, chooseRow, cover, describe, drawHelp, drawLegend, drawMixer, drawProblems, make, markMixer, moment, say } from "./panels.js";
import { Player } from "./player.js";
import { Roll, clock } from "./roll.js";

const DRAG_PX = 4;
const LATER_MS = [2500, 6000];
const NO_SERVER = "The server of this page does not answer. Is `d2midi annotate serve` running?";

const player = new Player($("video"));
const roll = new Roll($("base"), $("over"), $("map"));
const sounds = new Sounds((bytes) => player.decode(bytes));
const solo = new Set();
const mute = new Set();
let data = null;
let text = ""; // of the draft shown
let balance = 0.5;
let follow = true;
let chosen = 0; // row of the mixer that S and M act on
let hovered = null;
let drag = null;
let work = Promise.resolve(); // reading and changing speed, one after the other
let pending = 0;
let reading = false; // a reading waits for its turn
let later = []; // timers

// ---- the draft

function inTurn(button, job) {
  pending += 1;
  $(button).classList.add("waiting");
  work = work.then(job).catch(failed).then(() => {
    pending -= 1;
    $(button).classList.remove("waiting");
  });
}

function reload() {
  if (reading) return;
  reading = true;
  inTurn("reload", async () => {
    reading = false;
    const received = await readDraft();
    if (received !== text) await show(JSON.parse(received));
    text = received;
    say(data.saved_at ? `Draft saved ${moment(data.saved_at)}` : "Nothing changed yet");
    $("cover").hidden = true;
  });
}

// Label Studio saves a draft some seconds after a change, which may be after somebody has come here to hear it.
function comeBack() {
  reload();
  later.forEach(clearTimeout);
  later = LATER_MS.map((delay) => setTimeout(() => data && reload(), delay));
}

async function show(found) {
  if (!data) cover("Making the sounds…", "");
  const named = await sounds.of(found, player.speed);
  const first = !data;
  data = found;
  player.duration = found.sheet.shown_end_s - found.sheet.shown_start_s;
  player.videoOffset = found.sheet.shown_start_s - found.video_start_s;
  if (first) {
    player.seek(found.sheet.start_s - found.sheet.shown_start_s);
    player.video.src = VIDEO;
  }
  player.setTracks(named);
  $("title").textContent = found.title;
  document.title = `Listen · ${found.title}`;
  $("subtitle").textContent = [found.sheet.id, found.note].filter(Boolean).join("  ·  ");
  drawProblems(found.problems);
  drawMixer(found.instruments, { solo: (name) => toggle(solo, name), mute: (name) => toggle(mute, name), choose });
  choose(chosen);
  drawLegend(found.notes);
  roll.show(found);
  describe((hovered = null));
  if (first) roll.view(player.position - 0.25);
  level();
  showControls();
}

function failed(error) {
  if (!(error instanceof Refused)) {
    say(NO_SERVER, true);
    if (!data) cover("Not reachable", NO_SERVER);
  } else if (error.status === 401) {
    player.pause();
    const link = make("a", "", "Log in to Label Studio");
    link.href = error.login;
    const apart = new URL(error.login, location.href).hostname;
    const hint = apart === location.hostname ? "" : ` Browsers keep logins of ${apart} and ${location.hostname} apart: open this page at ${apart}, too.`;
    cover("Not logged in", error.message + hint, link);
  } else if (data) {
    say(error.message, true);
  } else {
    cover(error.status === 404 ? "Not here" : "Something went wrong", error.message);
  }
}

// ---- what is heard

const audible = (name) => (solo.size ? solo.has(name) : !mute.has(name));
const play = () => (player.playing ? player.pause() : player.play());

// Both sides have equal power in the middle.
function level() {
  if (!data) return;
  player.setMaster(data.loudness.all * Number($("volume").value) ** 2);
  player.setLevel(ORIGINAL, Math.cos((balance * Math.PI) / 2));
  const notes = data.loudness.notes * Math.sin((balance * Math.PI) / 2);
  const names = data.instruments.map(({ name }) => name);
  for (const name of names) player.setLevel(name, audible(name) ? notes : 0);
  roll.muted = new Set(names.filter((name) => !audible(name)));
  roll.draw();
  markMixer(audible, solo, mute);
  for (const button of document.querySelectorAll("[data-balance]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.balance) === balance));
  }
  $("balance").value = String(balance);
}

function setBalance(value) {
  balance = Math.round(Math.min(Math.max(value, 0), 1) * 20) / 20;
  level();
}

function toggle(set, name) {
  if (name === undefined) return;
  if (!set.delete(name)) set.add(name);
  level();
}

function choose(place) {
  chosen = chooseRow(place);
}

function halfSpeed() {
  inTurn("half", async () => {
    const speed = player.speed === 1 ? 0.5 : 1;
    player.setTracks(await sounds.of(data, speed));
    player.setSpeed(speed);
    level();
    showControls();
  });
}

function setLoop(loop) {
  player.setLoop(loop && loop[1] - loop[0] >= 0.05 ? loop : null);
  showControls();
}

// Sets one end of the loop to where it plays; the other one stays, or is the end of what is shown.
function mark(end) {
  const ends = player.loop ? [...player.loop] : [0, player.duration];
  ends[end] = roll.snap(player.heard());
  if (ends[0] >= ends[1]) ends[1 - end] = end ? 0 : player.duration;
  setLoop(ends);
}

function go(position, turn = true) {
  player.seek(position);
  if (turn) reveal(player.position);
}

// ---- what is seen

function reveal(position) {
  const end = roll.start + roll.length;
  if (position < roll.start || position > end - roll.length * 0.02) roll.view(position - roll.length * 0.06);
}

function zoom(factor) {
  const at = player.heard();
  const seen = at >= roll.start && at <= roll.start + roll.length;
  const middle = seen ? at : roll.start + roll.length / 2;
  const length = Math.min(Math.max(roll.length * factor, 1), roll.duration);
  roll.view(middle - ((middle - roll.start) / roll.length) * length, length);
  showControls();
}

function jump(direction) {
  const at = player.heard();
  const changed = data.notes.filter((note) => note.own && note.state);
  const starts = changed.map((note) => note.onset_s - data.sheet.shown_start_s);
  starts.sort((one, other) => (one - other) * direction);
  const next = starts.find((start) => (start - at) * direction > 0.05) ?? starts[0];
  if (next !== undefined) go(next);
}

function showControls() {
  const press = (id, pressed) => $(id).setAttribute("aria-pressed", String(pressed));
  press("half", player.speed === 0.5);
  press("follow", follow);
  press("loop", player.loop !== null);
  $("zoom").textContent = `${roll.length < 9.95 ? roll.length.toFixed(1) : Math.round(roll.length)} s`;
  $("range").textContent = player.loop ? player.loop.map((time) => clock(time + roll.origin, 2)).join(" – ") : "";
}

function frame() {
  requestAnimationFrame(frame);
  if (!data) return;
  const at = player.tick();
  if (player.playing && follow && !drag) reveal(at);
  const loop = drag?.loop ?? player.loop;
  roll.drawOver(at, loop, hovered);
  roll.drawMap(at, loop);
  $("play").dataset.playing = String(player.playing);
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
  $("time").textContent = clock(at + roll.origin);
  $("bar").textContent = beatAt(at);
  $("scrub").max = String(player.duration);
  $("scrub").value = String(at);
  $("scrub").style.setProperty("--done", `${(at / player.duration) * 100}%`);
}

function beatAt(at) {
  const passed = roll.beats.filter(([time]) => time <= at + 0.002);
  if (!passed.length) return "";
  const bars = passed.filter(([, place]) => place === 1).length;
  return `${bars ? `bar ${bars} · ` : ""}beat ${passed.at(-1)[1]}`;
}

// ---- mouse

$("over").addEventListener("pointerdown", (event) => {
  if (!data || event.button) return;
  $("over").setPointerCapture(event.pointerId);
  drag = { x: event.offsetX, from: roll.timeAt(event.offsetX), loop: null };
});
$("over").addEventListener("pointermove", (event) => {
  if (!data) return;
  if (!drag) {
    hovered = roll.noteAt(event.offsetX, event.offsetY);
    describe(hovered, event);
  } else if (drag.loop || Math.abs(event.offsetX - drag.x) > DRAG_PX) {
    describe((hovered = null));
    const near = (time) => (event.shiftKey ? time : roll.snap(time));
    const ends = [near(drag.from), near(roll.timeAt(event.offsetX))];
    drag.loop = ends[0] < ends[1] ? ends : ends.reverse();
  }
});
$("over").addEventListener("pointerup", () => {
  if (!drag) return;
  if (drag.loop) setLoop(drag.loop);
  else go(drag.from, false);
  drag = null;
});
$("over").addEventListener("pointercancel", () => (drag = null));
$("over").addEventListener("pointerleave", () => describe((hovered = null)));
$("over").addEventListener("wheel", (event) => {
  event.preventDefault();
  if (!data) return;
  if (event.ctrlKey) zoom(event.deltaY > 0 ? 1.25 : 0.8);
  else roll.view(roll.start + ((event.deltaX || event.deltaY) / 800) * roll.length);
}, { passive: false });
$("map").addEventListener("pointerdown", (event) => {
  $("map").setPointerCapture(event.pointerId);
  if (data) go(roll.mapTime(event.offsetX));
});
$("map").addEventListener("pointermove", (event) => data && event.buttons & 1 && go(roll.mapTime(event.offsetX)));
$("scrub").addEventListener("input", () => go(Number($("scrub").value)));
$("balance").addEventListener("input", () => setBalance(Number($("balance").value)));
$("volume").addEventListener("input", level);
$("video").addEventListener("error", () => say("The video cannot be shown.", true));
for (const button of document.querySelectorAll("[data-balance]")) {
  button.addEventListener("click", () => setBalance(Number(button.dataset.balance)));
}

// ---- keys: [keys, words, action, button that does the same]

const KEYS = [
  ["Playing", [
    [["Space"], "play or pause", play, "play"],
    [["ArrowLeft", "ArrowRight"], "one second back or on", (key) => go(player.heard() + (key === "ArrowLeft" ? -1 : 1))],
    [[",", "."], "one picture back or on", (key) => go((Math.round(player.heard() * 20) + (key === "," ? -1 : 1)) / 20)],
    [["Home"], "to the beginning of the sheet", () => go(data.sheet.start_s - roll.origin), "start"],
    [["n"], "next change", () => jump(1), "next"],
    [["N"], "change before", () => jump(-1), "previous"],
    [["h"], "half speed, same pitch", halfSpeed, "half"],
    [["[", "]"], "loop from here, loop up to here", (key) => mark(key === "[" ? 0 : 1)],
    [["l"], "loop what is seen; end the loop", () => setLoop(player.loop ? null : [roll.start, roll.start + roll.length]), "loop"],
  ]],
  ["Hearing", [
    [["1", "2", "3"], "original only, both, notes only", (key) => setBalance((Number(key) - 1) / 2)],
    [["a"], "from original to notes and back", () => setBalance(balance > 0.5 ? 0 : 1)],
    [["<", ">"], "more of the original, more of the notes", (key) => setBalance(balance + (key === "<" ? -0.1 : 0.1))],
    [["ArrowUp", "ArrowDown"], "choose an instrument", (key) => choose(chosen + (key === "ArrowUp" ? -1 : 1))],
    [["s"], "hear only it, or all again", () => toggle(solo, data.instruments[chosen]?.name)],
    [["m"], "mute it, or not", () => toggle(mute, data.instruments[chosen]?.name)],
    [["0"], "no solo, no mute", () => (solo.clear(), mute.clear(), level()), "unsolo"],
  ]],
  ["Seeing", [
    [["r"], "read the draft again; so does coming back", reload, "reload"],
    [["f"], "turn pages with the playhead, or not", () => ((follow = !follow), showControls()), "follow"],
    [["+"], "show less", () => zoom(0.8), "in"],
    [["-"], "show more", () => zoom(1.25), "out"],
    [["PageUp", "PageDown"], "page back or on", (key) => roll.view(roll.start + (key === "PageUp" ? -0.9 : 0.9) * roll.length)],
    [["?"], "this list", () => $("help").showModal(), "keys"],
  ]],
];
const MOUSE = ["In the roll", [
  [["Click"], "go there"],
  [["Drag"], "loop; its ends snap to beats, with Shift they do not"],
  [["Wheel"], "scroll; with Ctrl show less or more"],
  [["Point"], "instrument, pitch, times, velocity, what changed"],
]];

const actions = new Map();
for (const [keys, , action, button] of KEYS.flatMap(([, rows]) => rows)) {
  for (const key of keys) actions.set(key === "Space" ? " " : key, () => action(key));
  if (button) $(button).addEventListener("click", () => (data || action === reload) && action());
}
drawHelp([...KEYS, MOUSE]);
$("help-close").addEventListener("click", () => $("help").close());

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const slides = event.target.matches?.("input[type=range]") && event.key.startsWith("Arrow");
  const key = event.key === "=" ? "+" : actions.has(event.key) ? event.key : event.key.toLowerCase();
  const action = actions.get(key);
  if (!action || slides || (!data && key !== "r")) return;
  event.preventDefault();
  if (!event.repeat || !" rhaslm".includes(key)) action();
});
document.addEventListener("keyup", (event) => {
  // Space plays, whatever was clicked last.
  if (event.key === " " && event.target.matches?.("button")) event.preventDefault();
});

// How strong a tone is in a track, between two times of the clip (Goertzel, Am. Math. Monthly 65, 1958).
function tone(name, hertz, from, to) {
  const sound = player.tracks.get(name)?.sounds[player.speed];
  if (!sound) return null;
  const rate = sound.buffer.sampleRate;
  const at = (time) => Math.round(((time - roll.origin) / player.speed) * rate);
  const samples = sound.buffer.getChannelData(0).subarray(at(from), at(to));
  const turn = 2 * Math.cos((2 * Math.PI * hertz) / rate);
  let [one, two] = [0, 0];
  for (const sample of samples) [one, two] = [sample + turn * one - two, one];
  return (2 * sound.gain * Math.sqrt(Math.max(one * one + two * two - turn * one * two, 0))) / samples.length;
}

// What tests look at.
window.d2midi = {
  state: () => ({
    ready: data !== null && !pending, playing: player.playing, speed: player.speed, loop: player.loop, balance, follow,
    position: player.heard() + (roll.origin ?? 0), clock: player.context.currentTime, view: [roll.start, roll.length], chosen, notes: data?.notes ?? [],
    video: { time: player.video.currentTime - player.videoOffset + (roll.origin ?? 0), rate: player.video.playbackRate },
  }),
  levels: () => player.levels(),
  place: (number) => roll.middleOf(number), // of a note of `state().notes`, in pixels of the roll
  tone,
};

window.addEventListener("focus", comeBack);
window.addEventListener("resize", () => roll.layout());
requestAnimationFrame(frame);
comeBack();

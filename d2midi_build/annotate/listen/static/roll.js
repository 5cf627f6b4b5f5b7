// Draws the notes of a sheet: a roll with a ruler and keys, what lies over it, and a map of the whole sheet.

const KEYS_PX = 92;
const RULER_PX = 22;
const GAP_PX = 6;
const MOST_ROW_PX = 18;
const LANE_PX = 16;
const LEAST_NOTE_PX = 3;
const BLACK = new Set([1, 3, 6, 8, 10]);
const COLOURS = {
  back: "#15181d", row: "#20242b", black: "#1b1e24", line: "#2b3038", octave: "#3a414c", beat: "#2f353f",
  bar: "#515a69", text: "#c9ced6", dim: "#8b93a1", outside: "rgba(9, 10, 13, 0.55)", loop: "rgba(88, 168, 255, 0.16)",
  loopEdge: "#58a8ff", playhead: "#ffffff", added: "#34e07b", changed: "#ffc145", deleted: "#ff7272",
  unread: "#ff9d5c", ink: "#0d0f12", key: "#c3c9d1",
};
const FONT = "11px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif";

export class Roll {
  constructor(base, over, map) {
    this.base = base;
    this.over = over;
    this.map = map;
    this.sheet = null;
    this.notes = [];
    this.start = 0; // seconds of the sheet, at the left edge
    this.length = 10;
    this.muted = new Set();
  }

  // data as the server describes it; times in it are the clip's.
  show(data) {
    const origin = data.sheet.shown_start_s;
    const moved = (note) => ({
      ...note, from: note.onset_s - origin, to: note.offset_s - origin, before: note.before && moved(note.before),
    });
    this.origin = origin;
    this.duration = data.sheet.shown_end_s - origin;
    this.own = [data.sheet.start_s - origin, data.sheet.end_s - origin];
    this.beats = data.beats.map(([time, place]) => [time - origin, place]);
    this.notes = data.notes.map(moved);
    this.length = Math.min(this.length, this.duration);
    this.#lanes();
    this.layout();
  }

  // Fits the canvases into their places; draws.
  layout() {
    for (const canvas of [this.base, this.over, this.map]) {
      const ratio = window.devicePixelRatio || 1;
      const { clientWidth, clientHeight } = canvas;
      canvas.width = Math.round(clientWidth * ratio);
      canvas.height = Math.round(clientHeight * ratio);
      canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    this.width = this.base.clientWidth;
    this.height = this.base.clientHeight;
    if (this.duration) this.draw();
  }

  get perSecond() {
    return (this.width - KEYS_PX) / this.length;
  }

  x(time) {
    return KEYS_PX + (time - this.start) * this.perSecond;
  }

  timeAt(x) {
    return Math.min(Math.max(this.start + (x - KEYS_PX) / this.perSecond, 0), this.duration);
  }

  mapTime(x) {
    return Math.min(Math.max(((x - KEYS_PX) / (this.map.clientWidth - KEYS_PX)) * this.duration, 0), this.duration);
  }

  // Moves what is seen; whether anything changed.
  view(start, length = this.length) {
    length = Math.min(Math.max(length, 1), this.duration);
    start = Math.min(Math.max(start, 0), this.duration - length);
    if (start === this.start && length === this.length) return false;
    this.start = start;
    this.length = length;
    this.draw();
    return true;
  }

  // The nearest beat within a few pixels, else the time itself.
  snap(time) {
    let best = time;
    let distance = 8 / this.perSecond;
    for (const [beat] of this.beats) {
      if (Math.abs(beat - time) < distance) [best, distance] = [beat, Math.abs(beat - time)];
    }
    return best;
  }

  // The note at a place of the canvas: an annotator's before those of the context, the topmost first.
  noteAt(x, y) {
    const on = (note) => {
      const box = this.#box(note);
      return box && x >= box.x - 1 && x <= box.x + box.w + 1 && y >= box.y && y < box.y + box.h;
    };
    const hits = this.notes.filter(on);
    return hits.filter((note) => note.own).at(-1) ?? hits.at(-1) ?? null;
  }

  middleOf(number) {
    const box = this.#box(this.notes[number]);
    return box && { x: box.x + box.w / 2, y: box.y + box.h / 2 };
  }

  #lanes() {
    const all = this.notes.flatMap((note) => (note.before ? [note, note.before] : [note]));
    const pitches = all.filter((note) => !note.drum).map((note) => note.pitch);
    let low = pitches.length ? Math.min(...pitches) - 1 : 57;
    let high = pitches.length ? Math.max(...pitches) + 1 : 70;
    while (high - low < 23) {
      low = Math.max(0, low - 1);
      high = Math.min(127, high + 1);
    }
    [this.low, this.high] = [Math.max(0, low), Math.min(127, high)];
    const drums = all.filter((note) => note.drum).sort((one, other) => other.lane - one.lane);
    this.drums = [...new Map(drums.map((note) => [note.pitch, note.name]))];
  }

  #metrics() {
    const rows = this.high - this.low + 1;
    const gap = this.drums.length ? GAP_PX : 0;
    const height = this.height - RULER_PX - gap;
    const lane = Math.min(LANE_PX, height / 2 / Math.max(this.drums.length, 1));
    const px = Math.min(MOST_ROW_PX, (height - lane * this.drums.length) / rows);
    return { gap, px, lane, bottom: RULER_PX + rows * px };
  }

  #top(note) {
    const { gap, px, lane, bottom } = this.#metrics();
    if (!note.drum) return RULER_PX + (this.high - note.pitch) * px;
    return bottom + gap + this.drums.findIndex(([key]) => key === note.pitch) * lane;
  }

  #box(note) {
    if (note.to <= this.start || note.from >= this.start + this.length) return null;
    const { px, lane } = this.#metrics();
    const x = Math.max(this.x(note.from), KEYS_PX);
    return { x, y: this.#top(note) + 0.5, w: Math.max(this.x(note.to) - x - 0.5, LEAST_NOTE_PX), h: (note.drum ? lane : px) - 1 };
  }

  draw() {
    const pen = this.base.getContext("2d");
    pen.clearRect(0, 0, this.width, this.height);
    pen.fillStyle = COLOURS.back;
    pen.fillRect(0, 0, this.width, this.height);
    this.#rows(pen);
    this.#grid(pen);
    pen.save();
    pen.beginPath();
    pen.rect(KEYS_PX, RULER_PX, this.width - KEYS_PX, this.height - RULER_PX);
    pen.clip();
    this.#outside(pen);
    const order = (note) => (!note.own ? 0 : note.state === "" ? 1 : 2);
    for (const note of [...this.notes].sort((one, other) => order(one) - order(other))) this.#note(pen, note);
    pen.restore();
    this.#keys(pen);
    this.drawMap();
  }

  #rows(pen) {
    const { gap, px, lane, bottom } = this.#metrics();
    for (let pitch = this.low; pitch <= this.high; pitch += 1) {
      const y = RULER_PX + (this.high - pitch) * px;
      pen.fillStyle = BLACK.has(pitch % 12) ? COLOURS.black : COLOURS.row;
      pen.fillRect(KEYS_PX, y, this.width, px - 0.5);
      if (pitch % 12 === 0) {
        pen.fillStyle = COLOURS.octave;
        pen.fillRect(KEYS_PX, y + px - 1, this.width, 1);
      }
    }
    this.drums.forEach((_, place) => {
      pen.fillStyle = place % 2 ? COLOURS.black : COLOURS.row;
      pen.fillRect(KEYS_PX, bottom + gap + place * lane, this.width, lane - 0.5);
    });
  }

  #grid(pen) {
    const end = this.start + this.length;
    const { gap, lane, bottom } = this.#metrics();
    const foot = bottom + gap + this.drums.length * lane;
    const line = (time, colour) => {
      pen.fillStyle = colour;
      pen.fillRect(Math.round(this.x(time)), RULER_PX, 1, foot - RULER_PX);
    };
    const spacing = this.perSecond * (this.beats.length > 1 ? this.beats[1][0] - this.beats[0][0] : 1);
    for (const [time, place] of this.beats) {
      if (time < this.start || time > end) continue;
      if (place === 1) line(time, COLOURS.bar);
      else if (spacing > 9) line(time, COLOURS.beat);
    }
    pen.font = FONT;
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10].find((each) => each * this.perSecond >= 64) ?? 10;
    const first = Math.ceil((this.start + this.origin) / step - 1e-9);
    for (let tick = first; tick * step <= end + this.origin + 1e-9; tick += 1) {
      const x = this.x(tick * step - this.origin);
      pen.fillStyle = COLOURS.octave;
      pen.fillRect(Math.round(x), RULER_PX - 5, 1, 5);
      if (!this.beats.length) line(tick * step - this.origin, COLOURS.beat);
      pen.fillStyle = COLOURS.dim;
      if (x > KEYS_PX + 12 && x < this.width - 20) pen.fillText(clock(tick * step, step < 1 ? 1 : 0), x, 9);
    }
  }

  #outside(pen) {
    pen.fillStyle = COLOURS.outside;
    const [from, to] = this.own.map((time) => this.x(time));
    if (from > KEYS_PX) pen.fillRect(KEYS_PX, RULER_PX, from - KEYS_PX, this.height);
    if (to < this.width) pen.fillRect(to, RULER_PX, this.width - to, this.height);
    pen.fillStyle = COLOURS.dim;
    pen.textAlign = "left";
    if (from > KEYS_PX + 60) pen.fillText("before this sheet", KEYS_PX + 8, RULER_PX + 12);
    if (to < this.width - 60) pen.fillText("after this sheet", to + 8, RULER_PX + 12);
  }

  #note(pen, note) {
    if (note.before) this.#ghost(pen, note);
    const box = this.#box(note);
    if (!box) return;
    const silent = this.muted.has(note.own ? note.instrument : "context");
    const hollow = note.state === "deleted" || note.state === "unread";
    pen.globalAlpha = (note.own ? 0.5 + 0.5 * note.sure : 0.34) * (silent ? 0.3 : 1);
    if (!hollow) {
      pen.fillStyle = note.colour;
      rounded(pen, box, 2);
      pen.fill();
      pen.fillStyle = "rgba(0, 0, 0, 0.35)";
      pen.fillRect(box.x + box.w - 1, box.y, 1, box.h); // keeps repeated notes apart
    }
    pen.globalAlpha = silent && !note.state ? 0.3 : 1;
    if (note.state) {
      const colour = COLOURS[note.state];
      pen.strokeStyle = colour;
      pen.lineWidth = 2;
      pen.setLineDash(hollow ? [3, 2] : []);
      rounded(pen, { x: box.x, y: box.y, w: Math.max(box.w, 5), h: box.h }, 2);
      pen.stroke();
      pen.setLineDash([]);
      if (!hollow) this.#flag(pen, box, colour, note.state === "added" ? "+" : "~");
    }
    pen.globalAlpha = 1;
  }

  // A little tab above a note, so that it is found among hundreds.
  #flag(pen, box, colour, sign) {
    pen.fillStyle = colour;
    rounded(pen, { x: box.x - 1, y: box.y - 12, w: 12, h: 11 }, 2);
    pen.fill();
    pen.fillStyle = COLOURS.ink;
    pen.font = "bold 11px system-ui, 'DejaVu Sans', sans-serif";
    pen.textAlign = "center";
    pen.fillText(sign, box.x + 5, box.y - 6);
    pen.font = FONT;
  }

  #ghost(pen, note) {
    const box = this.#box(note.before);
    if (!box) return;
    pen.strokeStyle = COLOURS.changed;
    pen.globalAlpha = 0.75;
    pen.lineWidth = 1;
    pen.setLineDash([2, 2]);
    rounded(pen, box, 2);
    pen.stroke();
    const now = this.#box(note);
    if (now && (Math.abs(now.y - box.y) > 1 || Math.abs(now.x - box.x) > 3)) {
      pen.beginPath();
      pen.moveTo(box.x + box.w / 2, box.y + box.h / 2);
      pen.lineTo(now.x + now.w / 2, now.y + now.h / 2);
      pen.stroke();
    }
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  #keys(pen) {
    const { gap, px, lane, bottom } = this.#metrics();
    pen.fillStyle = COLOURS.back;
    pen.fillRect(0, 0, KEYS_PX, this.height);
    pen.font = FONT;
    pen.textBaseline = "middle";
    pen.textAlign = "right";
    for (let pitch = this.low; pitch <= this.high; pitch += 1) {
      const y = RULER_PX + (this.high - pitch) * px;
      const place = pitch % 12;
      pen.fillStyle = COLOURS.key;
      pen.fillRect(KEYS_PX - 31, y, 30, px + 0.5);
      pen.fillStyle = COLOURS.ink;
      if (place === 0 || place === 5) pen.fillRect(KEYS_PX - 31, y + px - 0.5, 30, 1); // between white keys
      if (!BLACK.has(place)) continue;
      pen.fillRect(KEYS_PX - 31, y + px / 2 - 0.5, 30, 1);
      pen.fillRect(KEYS_PX - 31, y, 18, px);
    }
    for (let pitch = Math.ceil(this.low / 12) * 12; pitch <= this.high; pitch += 12) {
      pen.fillStyle = COLOURS.text;
      pen.fillText(`C${pitch / 12 - 1}`, KEYS_PX - 37, RULER_PX + (this.high - pitch + 0.5) * px);
    }
    this.drums.forEach(([, name], place) => {
      pen.fillStyle = COLOURS.text;
      pen.fillText(name, KEYS_PX - 8, bottom + gap + (place + 0.5) * lane, KEYS_PX - 12);
    });
  }

  // Playhead, loop and what is under the mouse.
  drawOver(position, loop, hovered) {
    const pen = this.over.getContext("2d");
    pen.clearRect(0, 0, this.width, this.height);
    if (loop) {
      const [from, to] = loop.map((time) => Math.max(this.x(time), KEYS_PX));
      if (to > KEYS_PX && from < this.width) {
        pen.fillStyle = COLOURS.loop;
        pen.fillRect(from, 0, to - from, this.height);
        pen.fillStyle = COLOURS.loopEdge;
        pen.fillRect(from, 0, to - from, 3);
        pen.fillRect(from, 0, 2, this.height);
        pen.fillRect(to - 2, 0, 2, this.height);
      }
    }
    const box = hovered && this.#box(hovered);
    if (box) {
      pen.strokeStyle = "#fff";
      pen.lineWidth = 1.5;
      rounded(pen, { x: box.x - 1.5, y: box.y - 1.5, w: box.w + 3, h: box.h + 3 }, 3);
      pen.stroke();
    }
    const x = Math.round(this.x(position));
    if (x >= KEYS_PX && x <= this.width) {
      pen.fillStyle = "rgba(0, 0, 0, 0.55)";
      pen.fillRect(x - 2, 0, 4, this.height);
      pen.fillStyle = COLOURS.playhead;
      pen.fillRect(x - 1, 0, 2, this.height);
      pen.beginPath();
      pen.moveTo(x - 6, 0);
      pen.lineTo(x + 6, 0);
      pen.lineTo(x, 9);
      pen.fill();
    }
  }

  drawMap(position = this.lastPosition ?? 0, loop = this.lastLoop ?? null) {
    [this.lastPosition, this.lastLoop] = [position, loop];
    const pen = this.map.getContext("2d");
    const [width, height] = [this.map.clientWidth, this.map.clientHeight];
    const scale = (width - KEYS_PX) / this.duration;
    const x = (time) => KEYS_PX + time * scale;
    pen.clearRect(0, 0, width, height);
    pen.fillStyle = COLOURS.back;
    pen.fillRect(KEYS_PX, 0, width - KEYS_PX, height);
    pen.fillStyle = COLOURS.row;
    pen.fillRect(x(this.own[0]), 0, (this.own[1] - this.own[0]) * scale, height);
    pen.save();
    pen.beginPath();
    pen.rect(KEYS_PX, 0, width - KEYS_PX, height);
    pen.clip();
    const lanes = this.high - this.low + 1 + this.drums.length;
    const lane = (note) => (note.drum ? lanes - 1 - this.drums.findIndex(([key]) => key === note.pitch) * 0.99 : this.high - note.pitch);
    for (const note of this.notes) {
      pen.fillStyle = note.state ? COLOURS[note.state] : note.colour;
      pen.globalAlpha = note.own ? (note.state ? 1 : 0.75) : 0.25;
      const size = note.state ? 3 : 1.5;
      pen.fillRect(x(note.from), 3 + (lane(note) / lanes) * (height - 7), Math.max((note.to - note.from) * scale, size), size);
    }
    pen.globalAlpha = 1;
    if (loop) {
      pen.fillStyle = COLOURS.loop;
      pen.fillRect(x(loop[0]), 0, (loop[1] - loop[0]) * scale, height);
    }
    pen.strokeStyle = "rgba(255, 255, 255, 0.55)";
    pen.lineWidth = 1;
    pen.strokeRect(x(this.start) + 0.5, 0.5, this.length * scale - 1, height - 1);
    pen.fillStyle = "rgba(255, 255, 255, 0.06)";
    pen.fillRect(x(this.start), 0, this.length * scale, height);
    pen.fillStyle = COLOURS.playhead;
    pen.fillRect(x(position) - 0.75, 0, 1.5, height);
    pen.restore();
  }
}

// Minutes, seconds and as many decimals.
export function clock(seconds, decimals = 3) {
  const units = Math.round(Math.max(seconds, 0) * 10 ** decimals);
  const minutes = Math.floor(units / (60 * 10 ** decimals));
  const rest = ((units - minutes * 60 * 10 ** decimals) / 10 ** decimals).toFixed(decimals);
  return `${minutes}:${rest.padStart(decimals ? decimals + 3 : 2, "0")}`;
}

function rounded(pen, { x, y, w, h }, radius) {
  pen.beginPath();
  pen.roundRect(x, y, w, h, Math.min(radius, w / 2, h / 2));
}

// What the server has: the draft, and its sounds by speed. Only this module asks it.

const BASE = `${location.pathname.split("/").pop()}/`;
const QUERY = `?id=${encodeURIComponent(new URLSearchParams(location.search).get("id") ?? "")}`;

export const ORIGINAL = "original";
export const SPEEDS = [1, 0.5];
export const VIDEO = BASE + "video" + QUERY;

// The server's answer, in words for people; `login` is where to log in, if that is what is missing.
export class Refused extends Error {
  constructor(status, told) {
    super(told.message);
    this.status = status;
    this.login = told.login;
  }
}

async function get(path) {
  const response = await fetch(BASE + path + QUERY, { cache: "no-store", credentials: "same-origin" });
  if (response.ok) return response;
  throw new Refused(response.status, await response.json().catch(() => ({ message: `The server says ${response.status}.` })));
}

export async function readDraft() {
  return (await get("draft")).text();
}

// Keeps the sounds of one draft: name -> {speed: {buffer, gain}}, each fetched once.
export class Sounds {
  constructor(decode) {
    this.decode = decode;
    this.kept = new Map(); // path -> {buffer, gain}
  }

  // Fetches what a draft needs at a speed, forgets what it does not need at any, and returns [[name, sounds]].
  async of(data, speed) {
    const named = [
      ...(data.original ? [[ORIGINAL, "original"]] : []),
      ...data.instruments.map((each) => [each.name, `notes/${each.sound}`]),
    ].map(([name, path]) => [name, (at) => `${path}/${at}.flac`]);
    const missing = named.map(([, path]) => path(speed)).filter((path) => !this.kept.has(path));
    await Promise.all(missing.map((path) => this.#fetch(path)));
    const needed = new Set(named.flatMap(([, path]) => SPEEDS.map(path)));
    for (const path of this.kept.keys()) if (!needed.has(path)) this.kept.delete(path);
    return named.map(([name, path]) => [name, Object.fromEntries(SPEEDS.map((at) => [at, this.kept.get(path(at))]))]);
  }

  async #fetch(path) {
    const response = await get(path);
    const gain = Number(response.headers.get("d2midi-gain"));
    this.kept.set(path, { buffer: await this.decode(await response.arrayBuffer()), gain });
  }
}

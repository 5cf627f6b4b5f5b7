// Plays the recording and a sound per instrument on one clock, the AudioContext's; the silent video follows it.
// Times are seconds of the sheet as shown (0 = its first moment), whatever the speed.

const FADE_S = 0.006; // long enough not to click
const AHEAD_S = 0.03; // sounds start together at a moment that has not come yet
const DRIFT_S = 0.04;
const LOST_S = 0.25; // further off than this the video is sought, not nudged

export class Player {
  constructor(video) {
    this.video = video;
    this.context = new AudioContext({ latencyHint: "interactive" });
    this.master = new GainNode(this.context, { gain: 1 });
    this.master.connect(this.context.destination);
    this.tracks = new Map(); // name -> {level: GainNode, sounds: {speed: {buffer, gain}}}
    this.duration = 0;
    this.videoOffset = 0; // add to a time of the sheet to get the video's
    this.speed = 1;
    this.loop = null; // [from, to]
    this.playing = false;
    this.position = 0; // where it stands or, while playing, where it was at `since`
    this.since = 0;
    this.sources = [];
    this.nudged = false; // the video runs a little faster or slower until it is back
  }

  decode(bytes) {
    return this.context.decodeAudioData(bytes);
  }

  // Puts new sounds in the place of all: [[name, {speed: {buffer, gain}}]]. Goes on playing where it was.
  setTracks(named) {
    const old = this.tracks;
    this.tracks = new Map();
    for (const [name, sounds] of named) {
      const track = old.get(name) ?? { level: new GainNode(this.context, { gain: 0 }) };
      if (!old.has(name)) track.level.connect(this.master);
      track.sounds = sounds;
      this.tracks.set(name, track);
    }
    this.#restart();
    for (const [name, track] of old) if (!this.tracks.has(name)) setTimeout(() => track.level.disconnect(), 500);
  }

  setLevel(name, value) {
    const track = this.tracks.get(name);
    if (track) this.#set(track.level.gain, value);
  }

  setMaster(value) {
    this.#set(this.master.gain, value);
  }

  // How much of each track is heard now.
  levels() {
    return Object.fromEntries([...this.tracks].map(([name, track]) => [name, track.level.gain.value]));
  }

  async play() {
    if (this.playing) return;
    const resumed = this.context.resume();
    if (!this.loop && this.position >= this.duration - 0.02) this.position = 0;
    if (this.loop && (this.position < this.loop[0] || this.position >= this.loop[1])) this.position = this.loop[0];
    this.playing = true;
    await resumed;
    if (this.playing) this.#start(this.position, this.context.currentTime + AHEAD_S);
  }

  pause() {
    if (!this.playing) return;
    this.position = this.heard();
    this.playing = false;
    this.#stop(this.context.currentTime);
    this.video.pause();
  }

  seek(position) {
    this.position = Math.min(Math.max(position, 0), this.duration);
    if (this.playing) this.#start(this.position, this.context.currentTime + AHEAD_S);
  }

  setLoop(loop) {
    const at = this.#now(this.context.currentTime + AHEAD_S);
    this.loop = loop;
    if (!this.playing) return;
    const inside = loop && (at < loop[0] || at >= loop[1]) ? loop[0] : at;
    this.#start(inside, this.context.currentTime + AHEAD_S);
  }

  setSpeed(speed) {
    const when = this.context.currentTime + AHEAD_S;
    const at = this.#now(when);
    this.speed = speed;
    if (this.playing) this.#start(at, when);
  }

  // Where the sheet is at the moment that comes out of the loudspeakers.
  heard() {
    if (!this.playing) return this.position;
    const latency = (this.context.outputLatency || 0) + (this.context.baseLatency || 0);
    return this.#now(this.context.currentTime - latency);
  }

  // To be called for every picture: moves the video after the sound, and stops at the end.
  tick() {
    const at = this.heard();
    if (this.playing && !this.loop && at >= this.duration) {
      this.pause();
      this.position = this.duration;
    }
    this.#follow(at);
    return at;
  }

  #now(time) {
    if (!this.playing) return this.position;
    const at = this.position + Math.max(0, time - this.since) * this.speed;
    if (!this.loop || at < this.loop[1]) return Math.min(at, this.duration);
    const [from, to] = this.loop;
    return from + ((at - to) % (to - from));
  }

  #restart() {
    if (!this.playing) return;
    const when = this.context.currentTime + AHEAD_S;
    this.#start(this.#now(when), when);
  }

  #start(position, when) {
    this.#stop(when);
    this.position = position;
    this.since = when;
    for (const track of this.tracks.values()) {
      const sound = track.sounds[this.speed];
      if (!sound) continue;
      const fade = new GainNode(this.context, { gain: 0 });
      const source = new AudioBufferSourceNode(this.context, { buffer: sound.buffer });
      if (this.loop) {
        source.loop = true;
        source.loopStart = this.loop[0] / this.speed;
        source.loopEnd = this.loop[1] / this.speed;
      }
      source.connect(fade).connect(track.level);
      fade.gain.setValueAtTime(0, when);
      fade.gain.linearRampToValueAtTime(sound.gain, when + FADE_S);
      source.start(when, position / this.speed);
      this.sources.push({ source, fade, gain: sound.gain });
    }
  }

  #stop(when) {
    for (const { source, fade, gain } of this.sources) {
      fade.gain.cancelScheduledValues(when);
      fade.gain.setValueAtTime(gain, when);
      fade.gain.linearRampToValueAtTime(0, when + FADE_S);
      source.stop(when + FADE_S);
      source.onended = () => fade.disconnect();
    }
    this.sources = [];
  }

  #set(parameter, value) {
    if (this.playing) {
      parameter.setTargetAtTime(value, this.context.currentTime, 0.01);
    } else {
      parameter.cancelScheduledValues(0);
      parameter.value = value;
    }
  }

  #follow(at) {
    const video = this.video;
    if (video.readyState < 1 || video.seeking) return;
    const target = Math.max(0, at + this.videoOffset);
    const drift = video.currentTime - target;
    if (!this.playing) {
      if (Math.abs(drift) > 0.001) this.#seekVideo(target);
      return;
    }
    if (video.paused && !video.ended) video.play().catch(() => {}); // refused: it is sought instead
    if (Math.abs(drift) > LOST_S) {
      this.#seekVideo(target);
    } else if (Math.abs(drift) > (this.nudged ? DRIFT_S / 4 : DRIFT_S)) {
      this.nudged = true;
      video.playbackRate = this.speed * (1 - Math.min(Math.max(drift * 2, -0.25), 0.25));
    } else if (this.nudged || video.playbackRate !== this.speed) {
      this.nudged = false;
      video.playbackRate = this.speed;
    }
  }

  #seekVideo(target) {
    this.nudged = false;
    this.video.playbackRate = this.speed;
    this.video.currentTime = target;
  }
}

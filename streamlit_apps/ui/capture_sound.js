/* global cues */
// Tones by which a plan can be followed with closed eyes. Off until somebody switches them on; this browser remembers
// that for each of its two views, because two windows of one machine would sound twice.

const TONES = { tick: { hz: 660, s: 0.07 }, start: { hz: 990, s: 0.22 }, end: { hz: 440, s: 0.22 } };
const AHEAD_S = 1.2;  // a hidden window's timers run once a second
const LATE_S = 0.1;
const EDGE_S = 0.008;  // a tone that begins or ends at once clicks

export class Sound {
  constructor(view, onState) {
    this.view = view;
    this.onState = onState;
    this.scheduled = new Map();
    const kept = this.remembered();
    this.on = kept.on === true;
    this.volume = Number.isFinite(kept.volume) ? Math.min(1, Math.max(0, kept.volume)) : 0.5;
    this.wake = () => { if (this.context && this.context.state === "suspended") this.context.resume().then(onState); };
    if (this.on) this.open();
  }

  remembered() {
    try {
      const kept = JSON.parse(localStorage.getItem(`semg.sound.${this.view}`));
      return kept && typeof kept === "object" ? kept : {};
    } catch {
      return {};  // storage is closed to this page, or holds something else: sound is off, as at first
    }
  }

  remember() {
    try {
      localStorage.setItem(`semg.sound.${this.view}`, JSON.stringify({ on: this.on, volume: this.volume }));
    } catch (error) {
      console.warn("the sound's setting is not remembered:", error);
    }
  }

  // "blocked": the browser lets a page sound only after a key or a click in it.
  get state() {
    if (!this.on) return "off";
    return this.context && this.context.state === "suspended" ? "blocked" : "on";
  }

  open() {
    if (this.context || !window.AudioContext) return;
    this.context = new window.AudioContext();
    this.gain = this.context.createGain();
    this.gain.gain.value = this.volume;
    this.gain.connect(this.context.destination);
    this.context.onstatechange = this.onState;
    for (const name of ["pointerdown", "keydown"]) window.addEventListener(name, this.wake);
  }

  set(on) {
    this.on = on;
    if (on) {
      this.open();
      this.wake();
      this.play("start", this.context.currentTime);  // how loud it is
    } else {
      this.silence();
    }
    this.remember();
    this.onState();
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.gain) this.gain.gain.value = volume;
    this.remember();
  }

  // Schedules the tones of the next moments; called several times a second with the time in the plan.
  follow(steps, at) {
    if (this.state !== "on") return;
    for (const cue of cues(steps)) {
      const key = `${cue.tone} ${cue.at_s}`;
      if (cue.at_s < at - LATE_S || cue.at_s > at + AHEAD_S || this.scheduled.has(key)) continue;
      this.scheduled.set(key, this.play(cue.tone, this.context.currentTime + Math.max(0, cue.at_s - at)));
    }
  }

  // Nothing more that was scheduled sounds: the plan was paused or changed.
  silence() {
    for (const tone of this.scheduled.values()) tone.stop();
    this.scheduled.clear();
  }

  play(tone, at) {
    const { hz, s } = TONES[tone];
    const oscillator = this.context.createOscillator(), envelope = this.context.createGain();
    oscillator.frequency.value = hz;
    envelope.gain.setValueAtTime(0, at);
    envelope.gain.linearRampToValueAtTime(1, at + EDGE_S);
    envelope.gain.setValueAtTime(1, at + s - EDGE_S);
    envelope.gain.linearRampToValueAtTime(0, at + s);
    oscillator.connect(envelope).connect(this.gain);
    oscillator.start(at);
    oscillator.stop(at + s);
    return oscillator;
  }

  close() {
    for (const name of ["pointerdown", "keydown"]) window.removeEventListener(name, this.wake);
    this.silence();
    if (this.context) this.context.close();
    this.context = undefined;
  }
}

// The prompt of a capture: its words and tones by the plan, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./scripts.mjs";

const { clockText, cues, fill, fit, isPerformance, promptAt, Prompt, Sound } = await load(
  "ui/capture_prompt.js", "clockText", "cues", "fill", "fit", "isPerformance", "promptAt", "Prompt", "Sound");

const words = {
  paused: "Pause", nothing_labelled: "…", done: "Fertig", last_labels: "…", get_ready: "Bereit machen",
  relax: "Entspannen", perform: "Jetzt", sit: "Sitzen.", first: "Zuerst: {gesture}", then: "Danach: {gesture}",
  next: "Als Nächstes: {gesture}", next_end: "Ende", progress: "{done}/{all} {left}", rest: "Ruhe",
};
const steps = [
  { start_s: 0, end_s: 3, gesture: null, number: 0 },
  { start_s: 3, end_s: 6, gesture: "fist", number: 1 },
  { start_s: 6, end_s: 8, gesture: "rest", number: 1 },
  { start_s: 8, end_s: 11, gesture: "fist", number: 2 },
];
const data = { steps, words, started_ms: 0, paused_s: null, gesture_colours: {}, descriptions: { fist: "Close." } };

test("time left is rounded up to whole seconds and never negative", () => {
  assert.deepEqual([0, -3, 4.01, 60, 3599.5].map(clockText), ["0:00", "0:00", "0:05", "1:00", "60:00"]);
});

test("rest, pauses and what was dropped are no performances", () => {
  assert.equal(isPerformance({ gesture: "fist" }), true);
  assert.equal(isPerformance({ gesture: "rest" }), false);
  assert.equal(isPerformance({ gesture: null }), false);
  assert.equal(isPerformance({ gesture: "fist", dropped: true }), false);
});

test("a step is shown in the participant's words", () => {
  assert.deepEqual([promptAt(data, 1).kind, promptAt(data, 1).name], ["Bereit machen", "Zuerst: fist"]);
  const now = promptAt(data, 4);
  assert.deepEqual([now.kind, now.name, now.about, now.count, now.state], ["Jetzt", "fist", "Close.", "2", "fist"]);
  assert.equal(now.next, "Als Nächstes: fist");
  assert.equal(now.progress, "0/2 0:07");
  const rest = promptAt(data, 7);
  assert.deepEqual([rest.kind, rest.name, rest.state], ["Entspannen", "Ruhe", "rest"]);
  assert.equal(promptAt(data, 9).next, "Ende");
  assert.deepEqual([promptAt(data, 12).state, promptAt(data, 12).name], ["done", "Fertig"]);
  const paused = promptAt({ ...data, paused_s: 2 }, 2);
  assert.deepEqual([paused.state, paused.kind, paused.name], ["paused", "Pause", "Als Nächstes: fist"]);
});

test("a short gesture is performed once and not held", () => {
  const once = { ...data, words: { ...words, perform_once: "Einmal" }, once: ["fist"] };
  assert.equal(promptAt(once, 4).kind, "Einmal");
  assert.equal(promptAt({ ...once, once: ["snap"] }, 4).kind, "Jetzt");
});

test("a gesture is called what its participant reads, and known by its stored name", () => {
  const translated = { ...data, names: { fist: "Faust", rest: "rest" } };
  assert.equal(promptAt(translated, 1).name, "Zuerst: Faust");
  const now = promptAt(translated, 4);
  assert.deepEqual([now.name, now.state, now.next], ["Faust", "fist", "Als Nächstes: Faust"]);
  assert.equal(promptAt({ ...translated, paused_s: 2 }, 2).name, "Als Nächstes: Faust");
  assert.equal(promptAt(translated, 7).name, "Ruhe");
  const own = { ...data, names: {}, steps: [{ start_s: 0, end_s: 3, gesture: "constructor", number: 1 }] };
  assert.equal(promptAt(own, 1).name, "constructor");
});

test("with reduced motion what has passed moves once a second", () => {
  assert.equal(promptAt(data, 4.5).part, 0.5);
  assert.equal(promptAt(data, 4.5, true).part, 1 / 3);
});

test("a gesture's name is filled in as it is", () => {
  assert.equal(fill("Next: {gesture}", { gesture: "$& {left}" }), "Next: $& {left}");
});

test("three ticks, a high and a low tone for each gesture; ticks never meet the end of the one before", () => {
  const found = cues(steps);
  assert.deepEqual(found.map(({ tone }) => tone).join(" "), Array(2).fill("tick tick tick start end").join(" "));
  assert.deepEqual(found.slice(0, 5).map(({ at_s }) => at_s), [0.75, 1.5, 2.25, 3, 6]);
  assert.deepEqual(found.slice(5, 9).map(({ at_s }) => at_s), [6.5, 7, 7.5, 8]);
  assert.deepEqual(cues([{ start_s: 9, end_s: 10, gesture: "fist" }]).slice(0, 4).map(({ at_s }) => at_s), [6, 7, 8, 9]);
  assert.deepEqual(cues([{ start_s: 0, end_s: 2, gesture: "rest" }]), []);
});

const page = (kept) => {
  const stored = new Map(kept ? [["semg.sound.page", kept]] : []), started = [], stopped = [];
  const parameter = () => ({ value: 0, setValueAtTime() {}, linearRampToValueAtTime() {} });
  class AudioContext {
    constructor() { this.currentTime = 100; this.state = "running"; this.destination = {}; }
    createGain() { return { gain: parameter(), connect() {} }; }
    createOscillator() {
      const made = {
        frequency: { value: 0 }, connect: (next) => next, start: (at) => started.push([made.frequency.value, at]),
        stop: (at) => { if (at === undefined) stopped.push(made.frequency.value); },
      };
      return made;
    }
    close() {}
  }
  globalThis.window = { AudioContext, addEventListener() {}, removeEventListener() {} };
  globalThis.localStorage = { getItem: (key) => stored.get(key) ?? null, setItem: (key, value) => stored.set(key, value) };
  return { sound: new Sound("page", () => {}), stored, started, stopped };
};

test("sound is off until it is switched on, and this browser remembers it with its volume", () => {
  const { sound, stored, started } = page();
  assert.equal(sound.state, "off");
  sound.follow(steps, 0.7);
  assert.deepEqual(started, []);
  sound.set(true);
  sound.setVolume(0.2);
  assert.equal(sound.state, "on");
  assert.deepEqual(JSON.parse(stored.get("semg.sound.page")), { on: true, volume: 0.2 });
  const again = page(stored.get("semg.sound.page")).sound;
  assert.deepEqual([again.state, again.volume], ["on", 0.2]);
  for (const broken of ["{", "null", '{"on": 1, "volume": "loud"}']) {
    const other = page(broken).sound;
    assert.deepEqual([other.state, other.volume], ["off", 0.5]);
  }
});

test("tones are scheduled once, at their times, and taken back when the plan changes", () => {
  const { sound, started, stopped } = page('{"on": true, "volume": 1}');
  sound.follow(steps, 2);
  sound.follow(steps, 2.05);
  assert.deepEqual(started.map(([hz, at]) => [hz, Math.round(100 * at) / 100]), [[660, 100.25], [990, 101]]);
  sound.silence();
  assert.deepEqual(stopped, [660, 990]);
  sound.follow(steps, 2.9);
  assert.equal(started.length, 3, "after the change it is scheduled anew");
});

test("the prompt is drawn by the server's clock, and says a word only when it changes", () => {
  let written = 0;
  const element = () => {
    let text = "";
    return {
      get textContent() { return text; }, set textContent(value) { text = value; written += 1; },
      style: { setProperty() {} }, classList: { toggle() {} }, replaceChildren() {},
    };
  };
  globalThis.window = {};
  const mount = { dataset: {}, classList: { contains: () => false } };
  const prompt = Object.assign(Object.create(Prompt.prototype), { mount, data });
  for (const name of ["card", "kind", "name", "about", "count", "stepBar", "next", "cursor", "figures", "picture"]) {
    prompt[name] = element();
  }
  prompt.offsetMs = 4000 - Date.now();
  prompt.show();
  assert.equal(prompt.name.textContent, "fist");
  assert.equal(prompt.mount.dataset.prompt, "fist");
  const before = written;
  prompt.show();
  assert.equal(written - before, 1, "only the figures are written again");
});

test("what is too large is made smaller: a long word by itself, all of it where the screen is full", () => {
  const scales = new Map(), classes = new Set();
  const box = {
    style: { setProperty: (name, value) => scales.set(name, Number(value)) },
    classList: { add: (name) => classes.add(name), remove: (name) => classes.delete(name) },
  };
  const scale = (name) => scales.get(name) ?? 1;
  const element = (width, height) => ({
    clientWidth: 100, clientHeight: 100,
    get scrollWidth() { return classes.has("breaking") ? 90 : width * scale("--fit") * scale("--word"); },
    get scrollHeight() { return height * scale("--fit"); },
  });
  const fitted = (width, height) => {
    const word = element(width, height);
    fit(box, word, [], [word]);
    return [scale("--word"), scale("--fit"), classes.has("breaking")];
  };
  assert.deepEqual(fitted(90, 90), [1, 1, false]);
  const [word, all] = fitted(150, 90);
  assert.ok(word > 0.6 && word < 0.68 && all === 1);
  const [same, lower] = fitted(90, 150);
  assert.ok(same === 1 && lower > 0.6 && lower < 0.68);
  assert.equal(fitted(900, 90)[2], true, "a word that would be tiny is broken");
});

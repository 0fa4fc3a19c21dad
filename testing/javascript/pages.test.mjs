// What the pages' modules compute, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./scripts.mjs";

const { clockText, isPerformance, Prompt } = await load("ui/capture_prompt.js", "clockText", "isPerformance", "Prompt");
const { floats, Review } = await load("ui/review_view.js", "floats", "Review");
const { matches, moved } = await load("ui/gesture_list.js", "matches", "moved");
const { fitted, pictureOf } = await load("ui/picture_drop.js", "fitted", "pictureOf");
const video = await load("ui/video.js", "clockText", "Player");

// An object with a class's methods and just the fields that they read: a constructor wants a page.
const bare = (Class, fields) => Object.assign(Object.create(Class.prototype), fields);
const classes = () => ({ names: new Set(), add(name) { this.names.add(name); }, toggle(name, on) {
  if (on) this.names.add(name); else this.names.delete(name);
} });

test("time left is rounded up to whole seconds and never negative", () => {
  assert.equal(clockText(0), "0:00");
  assert.equal(clockText(-3), "0:00");
  assert.equal(clockText(4.01), "0:05");
  assert.equal(clockText(60), "1:00");
  assert.equal(clockText(3599.5), "60:00");
});

test("rest, pauses and what was dropped are no performances", () => {
  assert.equal(isPerformance({ gesture: "fist" }), true);
  assert.equal(isPerformance({ gesture: "rest" }), false);
  assert.equal(isPerformance({ gesture: null }), false);
  assert.equal(isPerformance({ gesture: "fist", dropped: true }), false);
});

test("the prompt shows a step by the server's clock", () => {
  const element = () => ({ textContent: "", style: { setProperty() {} }, classList: classes(), replaceChildren() {} });
  const said = {};
  for (const name of ["card", "kind", "name", "about", "count", "stepBar", "next", "cursor", "figures", "picture"]) {
    said[name] = element();
  }
  globalThis.window = {};
  const steps = [
    { start_s: 0, end_s: 3, gesture: null, number: 0 },
    { start_s: 3, end_s: 6, gesture: "fist", number: 1 },
    { start_s: 6, end_s: 8, gesture: "rest", number: 1 },
  ];
  const data = { steps, started_ms: 0, paused_s: null, gesture_colours: {}, descriptions: { fist: "Close the hand." } };
  const at = (seconds, more = {}) => {
    const prompt = bare(Prompt, { ...said, mount: { dataset: {} }, data: { ...data, ...more } });
    prompt.offsetMs = seconds * 1000 - Date.now();
    prompt.show();
    return prompt;
  };
  assert.equal(at(1).name.textContent, "First: fist");
  const performing = at(4);
  assert.deepEqual([performing.kind.textContent, performing.name.textContent], ["Perform now and hold", "fist"]);
  assert.equal(performing.about.textContent, "Close the hand.");
  assert.equal(performing.count.textContent, "2");
  assert.equal(at(7).kind.textContent, "Relax");
  assert.equal(at(9).mount.dataset.prompt, "done");
  const paused = at(100, { paused_s: 2 });
  assert.equal(paused.mount.dataset.prompt, "paused");
  assert.equal(paused.name.textContent, "Next: fist");
});

test("values come as little-endian floats in base64", () => {
  const text = Buffer.from(Float32Array.of(1.5, -2, NaN).buffer).toString("base64");
  assert.deepEqual([...floats(text)], [1.5, -2, NaN]);
});

const review = (data) => {
  const sent = [];
  const made = bare(Review, { width: 458, cursorMs: 0, draw() {}, send: (name, value) => sent.push([name, value]) });
  made.data = { since_ms: 1000, until_ms: 5000, whole_since_ms: 0, whole_until_ms: 10_000, labels: [], ...data };
  return { made, sent };
};

test("a place and a time of the review are each other's inverse", () => {
  const { made } = review();
  for (const ms of [1000, 2345, 5000]) assert.ok(Math.abs(made.ms(made.x(ms)) - ms) < 1e-9);
});

test("what the review asks for stays within the recording and is never too short", () => {
  const { made, sent } = review();
  made.ask(-500, 1500);
  made.ask(9500, 12_500);
  made.ask(3000, 3001);
  made.ask(-1e6, 1e6);
  assert.deepEqual(sent.map(([, { since_ms, until_ms }]) => [since_ms, until_ms]),
    [[0, 2000], [7000, 10_000], [3000, 3200], [0, 10_000]]);
});

test("zooming keeps the cursor's place, or the middle when it is not shown", () => {
  const { made, sent } = review();
  made.zoom(0.5);
  made.cursorMs = 2000;
  made.zoom(0.5);
  assert.deepEqual(sent.map(([, asked]) => asked), [{ since_ms: 2000, until_ms: 4000 }, { since_ms: 1500, until_ms: 3500 }]);
});

test("an edge that is dragged past the other one leaves a label of the least length", () => {
  const { made, sent } = review({ chosen_id: 7, editable: true, labels: [{ id: 7, begin_ms: 2000, end_ms: 3000 }] });
  made.moved("begin", 4000);
  made.moved("end", 1000);
  assert.deepEqual(sent, [
    ["moved", { id: 7, begin_ms: 2800, end_ms: 3000 }],
    ["moved", { id: 7, begin_ms: 2000, end_ms: 2200 }],
  ]);
  assert.equal(made.edgeAt(made.x(2000) + 5), "begin");
  assert.equal(made.edgeAt(made.x(3000) - 5), "end");
  assert.equal(made.edgeAt(made.x(2500)), null);
});

test("a video's clock has milliseconds", () => {
  const at = new Date(2026, 0, 2, 3, 4, 5, 67);
  assert.equal(video.clockText(at.getTime() * 1000), "03:04:05.067");
});

test("a video is put inside the frame that is asked for, and not past its end", () => {
  const shown = { readyState: 1, duration: 10, currentTime: 0 };
  const player = bare(video.Player, { video: shown, data: { started_us: 1_000_000 }, askedUs: 3_000_000 });
  player.seek();
  assert.ok(Math.abs(shown.currentTime - 2.0001) < 1e-9);
  assert.equal(player.nowUs(), 3_000_100);
  player.askedUs = 99_000_000;
  player.seek();
  assert.equal(shown.currentTime, 10);
  player.askedUs = 0;
  player.seek();
  assert.equal(shown.currentTime, 0);
});

test("pictures of the prompt are made once, and freed when they are gone", async () => {
  const { default: keep } = await load("ui/capture_pictures.js");
  const freed = [];
  const { createObjectURL, revokeObjectURL } = URL;
  let made = 0;
  URL.createObjectURL = () => `blob:${++made}`;
  URL.revokeObjectURL = (url) => freed.push(url);
  globalThis.window = {};
  try {
    keep({ data: { pictures: { fist: ["image/png", btoa("a")], open: ["image/png", btoa("b")] } } });
    keep({ data: { pictures: { fist: ["image/png", btoa("a")], open: ["image/png", btoa("c")] } } });
    assert.deepEqual([made, freed], [3, ["blob:2"]]);
    keep({ data: { pictures: { fist: ["image/png", btoa("a")] } } });
    assert.deepEqual(freed, ["blob:2", "blob:3"]);
    assert.deepEqual([...globalThis.window.semgPictures.keys()], ["fist"]);
  } finally {
    Object.assign(URL, { createObjectURL, revokeObjectURL });
  }
});

test("a gesture is found by any words of its name, description or phrase", () => {
  const row = { name: "Wrist flexion", description: "Bend the hand", phrase: "I am thirsty" };
  assert.equal(matches(row, ""), true);
  assert.equal(matches(row, "WRIST thirsty"), true);
  assert.equal(matches(row, "wrist fist"), false);
});

test("an order keeps everything when one of it moves, also beyond an end", () => {
  assert.deepEqual(moved([1, 2, 3], 1, 2), [2, 3, 1]);
  assert.deepEqual(moved([1, 2, 3], 3, -5), [3, 1, 2]);
  assert.deepEqual(moved([1, 2, 3], 1, Infinity), [2, 3, 1]);
});

test("a picture keeps its shape when it is made smaller, and is never made larger", () => {
  assert.deepEqual(fitted(4000, 3000), [1024, 768]);
  assert.deepEqual(fitted(100, 50), [100, 50]);
  assert.deepEqual(fitted(10000, 1), [1024, 1]);
});

test("of what is pasted, a picture is taken before other files, and text is left alone", () => {
  const picture = { type: "image/png" }, other = { type: "text/plain" };
  assert.equal(pictureOf({ files: [other, picture] }), picture);
  assert.equal(pictureOf({ files: [] }), null);
  assert.equal(pictureOf(null), null);
});

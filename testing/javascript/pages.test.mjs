// What the pages' modules compute, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./scripts.mjs";

const { quantile, LiveView, Ring } = await load("ui/live_view.js", "quantile", "LiveView", "Ring");
const { floats, Review } = await load("ui/review_view.js", "floats", "Review");
const video = await load("ui/video.js", "clockText", "Player");

// An object with a class's methods and just the fields that they read: a constructor wants a page.
const bare = (Class, fields) => Object.assign(Object.create(Class.prototype), fields);
const classes = () => ({ names: new Set(), add(name) { this.names.add(name); }, toggle(name, on) {
  if (on) this.names.add(name); else this.names.delete(name);
} });

test("a quantile is one of the values, whatever their order", () => {
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.equal(quantile([10, 9, 100], 0.5), 10);
  assert.equal(quantile([7], 0.95), 7);
  assert.equal(quantile([4, 3, 2, 1], 1), 4);
});

test("the ring keeps the newest samples and finds a time among them", () => {
  const ring = new Ring(["a0", "a1"], 50);
  for (let i = 0; i < ring.capacity + 10; i++) ring.push(20 * i, [i, -i], i === 0);
  assert.equal(ring.first(-1), 10);
  assert.equal(ring.first(20 * 100), 100);
  assert.equal(ring.first(20 * 100 + 1), 101);
  assert.equal(ring.first(Infinity), ring.n);
  assert.equal(ring.values[1][100], -100);
  assert.equal(ring.starts[0], 0);
});

test("an activation speaks once: again only after rest, or for another gesture", () => {
  const phrase = { classList: classes(), style: { setProperty() {} }, textContent: "" };
  const data = { phrases: { fist: "Yes", open: "No" }, gesture_colours: {} };
  const view = bare(LiveView, { phrase, data, activation: null, restSince: 0, activations: 0, speaks: false });
  view.activate("fist", 1000);
  view.activate("fist", 1050);
  assert.equal(view.activations, 1);
  view.activate(null, 1100);  // unsure is neither rest nor another gesture
  view.activate("rest", 1150);
  view.activate("fist", 1200);  // a flicker of rest
  assert.equal(view.activations, 1);
  view.activate("rest", 1250);
  view.activate("rest", 1600);
  assert.ok(phrase.classList.names.has("past"));
  view.activate("fist", 1650);
  assert.equal(view.activations, 2);
  view.activate("open", 1700);
  assert.deepEqual([view.activations, phrase.textContent], [3, "No"]);
});

test("a stream is live, waited for or stopped; tries become rarer", () => {
  const view = bare(LiveView, { connection: "open", arrivedAt: 0 });
  assert.equal(view.state(5000), "waiting");
  view.arrivedAt = 5000;
  assert.equal(view.state(5600), "live");
  assert.equal(view.state(5800), "stopped");
  view.connection = "offline";
  assert.equal(view.state(5600), "offline");
  const waits = [0, 1, 2, 3, 4, 5, 50].map((n) => view.backoff(n));
  assert.deepEqual(waits, [...waits].sort((a, b) => a - b));
  assert.equal(waits.at(-1), 5000);
});

test("a resting channel's noise is not blown up", () => {
  const ring = new Ring(["a0"], 50);
  for (const value of [500, 502]) ring.push(0, [value], false);
  const view = bare(LiveView, { ring, data: { adc_min: 0, adc_max: 1000 }, scale: "auto" });
  assert.deepEqual(view.range(0, 0, 2), { centre: 501, half: 10.5 });
  assert.deepEqual(view.range(0, 0, 0), { centre: 0, half: 1 });
  view.scale = "full";
  assert.deepEqual(view.range(0, 0, 2), { centre: 500, half: 500 });
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

// What the live views compute, without a page: what is said by gestures above all.
import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./scripts.mjs";

const { Aac, cleaned, DEFAULTS, Feed, LiveView, quantile, Ring, Chart, onShortcut, shownNames, shownNext, ONCE_MS, fill, eventWords } =
  await load("ui/live/view.js", "Aac", "cleaned", "DEFAULTS", "Feed", "LiveView", "quantile", "Ring", "Chart",
    "onShortcut", "shownNames", "shownNext", "ONCE_MS", "fill", "eventWords");
await load("ui/live/plain.js", "PlainView");

// An object with a class's methods and just the fields that they read: a constructor wants a page.
const bare = (Class, fields) => Object.assign(Object.create(Class.prototype), fields);
const PHRASES = { fist: "Yes", open: "No", point: "Water" };
const speaker = (settings = {}, phrases = PHRASES) => {
  const made = new Aac();
  made.configure(cleaned(settings), phrases);
  return made;
};
// Decisions every 50 ms from one time until before another; all that happened, in a line each.
const hold = (aac, label, from, until) => {
  const seen = [];
  for (let now = from; now < until; now += 50) seen.push(...aac.decide(label, now));
  return told(seen);
};
const told = (events) => events.filter((one) => !["activated", "rest", "stepped"].includes(one.type))
  .map((one) => `${one.type} ${one.phrase ?? ""}`.trim());

test("a quantile is one of the values, whatever their order", () => {
  assert.ok(Number.isNaN(quantile([], 0.5)));
  assert.equal(quantile([10, 9, 100], 0.5), 10);
  assert.equal(quantile([7], 0.95), 7);
  assert.equal(quantile([4, 3, 2, 1], 1), 4);
});

test("a short gesture is shown for a while and then what goes on", () => {
  const rest = { label: "rest" }, snap = { label: "snap", once: true }, tap = { label: "tap", once: true };
  let shown = shownNext(null, rest, 0);
  shown = shownNext(shown, snap, 50);
  assert.equal(shown.message, snap);
  for (let now = 100; now < 50 + ONCE_MS; now += 50) shown = shownNext(shown, rest, now);
  assert.equal(shown.message, snap);
  assert.equal(shownNext(shown, tap, 500).message, tap, "the next performance is not kept waiting");
  assert.equal(shownNext(shown, rest, 50 + ONCE_MS).message, rest);
});

test("a short gesture says its phrase once, without being held", () => {
  const aac = speaker({ dwell_ms: 1000 });
  assert.deepEqual(hold(aac, "rest", 0, 500), []);
  assert.deepEqual(told(aac.decideOnce("fist", 500)), ["said Yes"]);
  assert.deepEqual(hold(aac, "rest", 550, 1000), []);
  assert.deepEqual(told(aac.decideOnce("fist", 1000)), ["said Yes"], "each performance speaks");
  assert.deepEqual(told(aac.decideOnce("unknown", 1500)), []);
});

test("an event says what a program was told", () => {
  const event = { at: "2026-03-01T10:00:00Z", gesture: "fist", strength: 0.42, duration_ms: 1240, reason: "" };
  const said = (changes) => eventWords({ ...event, ...changes }).replace(/^\S+ +/, "");
  assert.equal(said({ kind: "press" }), "fist pressed, strength 42 %");
  assert.equal(said({ kind: "hold", strength: null }), "fist held for 1.2 s");
  assert.equal(said({ kind: "release", reason: "let go" }), "fist released after 1.2 s");
  assert.equal(said({ kind: "release", reason: "signal lost" }), "fist released after 1.2 s (signal lost)");
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

test("a stream is live, waited for or stopped; tries become rarer", () => {
  const feed = bare(Feed, { connection: "open", arrivedAt: 0 });
  assert.equal(feed.state(5000), "waiting");
  feed.arrivedAt = 5000;
  assert.equal(feed.state(5600), "live");
  assert.equal(feed.state(5800), "stopped");
  assert.equal(feed.silentS(5800), 1);
  assert.equal(feed.silentS(9400), 4);
  feed.connection = "offline";
  assert.equal(feed.state(5600), "offline");
  const waits = [0, 1, 2, 3, 4, 5, 50].map((n) => feed.backoff(n));
  assert.deepEqual(waits, [...waits].sort((a, b) => a - b));
  assert.equal(waits.at(-1), 5000);
});

test("a resting channel's noise is not blown up", () => {
  const ring = new Ring(["a0"], 50);
  for (const value of [500, 502]) ring.push(0, [value], false);
  const chart = bare(Chart, { ring, data: { adc_min: 0, adc_max: 1000 }, scale: "auto" });
  assert.deepEqual(chart.range(0, 0, 2), { centre: 501, half: 10.5 });
  assert.deepEqual(chart.range(0, 0, 0), { centre: 0, half: 1 });
  chart.scale = "full";
  assert.deepEqual(chart.range(0, 0, 2), { centre: 500, half: 500 });
});

test("without a stream there is no moment to teach; a paused picture keeps its own", () => {
  const view = bare(LiveView, { paused: false, latestMs: 900, edgeMs: 400, feed: { state: () => "stopped" } });
  assert.equal(view.moment(), null);
  view.feed.state = () => "live";
  assert.equal(view.moment(), 900);
  view.paused = true;
  assert.equal(view.moment(), 400);
});

test("bars stand in the order of the bank; of many gestures the likeliest are shown", () => {
  assert.deepEqual(shownNames(["rest", "fist"], { fist: 0.9, old: 0.1 }), ["rest", "fist", "old"]);
  assert.deepEqual(shownNames(["a", "b", "c"], { c: 0.6, b: 0.4 }, 2), ["b", "c"]);
});

test("a key of the account calls its act, and nothing else does", () => {
  const called = [];
  const view = { togglePause: () => called.push("pause"), toggleSpeech: () => called.push("speech") };
  const press = (action) => onShortcut({ detail: { action } }, view);
  assert.equal(press("live.pause"), "togglePause");
  assert.equal(press("live.speak"), "toggleSpeech");
  assert.equal(press("review.back"), null);
  assert.deepEqual(called, ["pause", "speech"]);
});

const { pressed } = await load("ui/assistive.js", "pressed");

test("a pressed key has the form in which keys are stored", () => {
  const form = (key, more = {}) => pressed({ key, ...more });
  assert.equal(form("S"), "s");
  assert.equal(form(" "), "space");
  assert.equal(form("E", { shiftKey: true }), "shift+e");
  assert.equal(form("p", { altKey: true, ctrlKey: true }), "ctrl+alt+p");
  assert.equal(form("?", { shiftKey: true }), "?");
  assert.equal(form("+", { shiftKey: true }), "+");
  assert.equal(form("ArrowLeft", { shiftKey: true }), "shift+left");
  assert.equal(form("PageDown"), "pagedown");
});

test("values are filled in as they are, whatever they contain", () => {
  assert.equal(fill("Say “{phrase}”?", { phrase: "$& {phrase}" }), "Say “$& {phrase}”?");
});

test("a performance speaks once: again only after rest, another gesture without it", () => {
  const aac = speaker();
  assert.deepEqual(hold(aac, "fist", 1000, 2000), ["said Yes"]);
  assert.deepEqual(hold(aac, null, 2000, 3000), [], "unsure is neither rest nor another gesture");
  assert.deepEqual(hold(aac, "fist", 3000, 4000), []);
  assert.deepEqual(hold(aac, "rest", 4000, 4200), [], "a flicker of rest");
  assert.deepEqual(hold(aac, "fist", 4200, 5000), []);
  assert.deepEqual(hold(aac, "open", 5000, 6000), ["said No"]);
  assert.deepEqual(hold(aac, "fist", 6000, 7000), [], "not without rest, also not by way of another gesture");
  assert.deepEqual(hold(aac, "rest", 7000, 7400), []);
  assert.deepEqual(hold(aac, "fist", 7400, 8000), ["said Yes"]);
  assert.deepEqual(aac.history, ["Yes", "No", "Yes"]);
});

test("a gesture that is held too short says nothing", () => {
  const aac = speaker({ dwell_ms: 600 });
  assert.deepEqual(hold(aac, "fist", 0, 550), []);
  assert.ok(aac.heldShare(550) > 0.8);
  assert.deepEqual(hold(aac, "open", 550, 700), []);
  assert.deepEqual(hold(aac, "fist", 700, 1250), [], "begins anew after another gesture");
  assert.deepEqual(hold(aac, "fist", 1250, 1400), ["said Yes"]);
  assert.equal(aac.heldShare(1400), 0);
  hold(aac, "rest", 1400, 2000);
  assert.deepEqual(hold(aac, "open", 2000, 2400), []);
  assert.deepEqual(told(aac.decide("open", 9000)), [], "a silence of the stream is not held through");
});

test("a confirmation by a second performance needs rest and comes in time", () => {
  const aac = speaker({ confirm: "again", confirm_s: 2 });
  assert.deepEqual(hold(aac, "fist", 0, 900), ["asked Yes"]);
  hold(aac, "rest", 900, 1300);
  assert.deepEqual(hold(aac, "fist", 1300, 1500), ["said Yes"]);
  hold(aac, "rest", 1500, 2000);
  assert.deepEqual(hold(aac, "fist", 2000, 2200), ["asked Yes"]);
  assert.deepEqual(hold(aac, "rest", 2200, 4500), ["dropped Yes"]);
  assert.deepEqual(hold(aac, "fist", 4500, 4700), ["asked Yes"], "too late: it is asked again");
  assert.deepEqual(hold(aac, "open", 4700, 4900), ["asked No"], "another gesture asks for itself");
  assert.deepEqual(aac.history, ["Yes"]);
});

test("a confirming gesture says what waits, and nothing by itself", () => {
  const aac = speaker({ confirm: "gesture", confirm_gesture: "point" });
  assert.deepEqual(hold(aac, "point", 0, 200), []);
  hold(aac, "rest", 200, 600);
  assert.deepEqual(hold(aac, "fist", 600, 800), ["asked Yes"]);
  assert.deepEqual(hold(aac, "point", 800, 1000), ["said Yes"]);
  assert.deepEqual(told(aac.confirm()), [], "once");
});

test("undo takes back what waits first, then what was said, and tells it", () => {
  const aac = speaker({ confirm: "button", undo_gesture: "open" });
  hold(aac, "fist", 0, 100);
  assert.deepEqual(told(aac.confirm()), ["said Yes"]);
  hold(aac, "point", 100, 200);
  assert.deepEqual(told(aac.undo()), ["dropped Water"]);
  assert.deepEqual(hold(aac, "open", 200, 300), ["undone Yes"]);
  assert.deepEqual(told(aac.undo()), ["nothing"]);
  assert.deepEqual(aac.history, []);
});

test("nothing that waited is said after the stream was away", () => {
  const aac = speaker({ confirm: "again", confirm_s: 30, dwell_ms: 300 });
  hold(aac, "fist", 0, 500);
  assert.deepEqual(told(aac.lose()), ["dropped Yes"]);
  assert.deepEqual(hold(aac, "fist", 600, 800), []);
  assert.deepEqual(hold(aac, "fist", 800, 1000), ["asked Yes"]);
  assert.deepEqual(aac.history, []);
});

test("changed settings repeat nothing and say nothing that waits", () => {
  const aac = speaker();
  hold(aac, "fist", 0, 200);
  aac.configure(cleaned({ speak: true, confirm: "button" }), PHRASES);
  assert.deepEqual(hold(aac, "fist", 200, 600), []);
  assert.deepEqual(hold(aac, "open", 600, 700), ["asked No"]);
  aac.configure(cleaned({}), PHRASES);
  assert.deepEqual(told(aac.confirm()), []);
  assert.deepEqual(aac.history, ["Yes"]);
});

test("scanning by time goes through rows, then through a row, and gives up after two rounds", () => {
  const phrases = ["a", "b", "c", "d", "e"];
  const aac = speaker({ mode: "scan", scan_ms: 1000, columns: 2, phrases, select_gesture: "fist" });
  const at = () => [aac.scan.level, aac.scan.row, aac.scan.item];
  aac.tick(0);
  assert.deepEqual(at(), ["row", 0, 0]);
  aac.tick(999);
  assert.deepEqual(at(), ["row", 0, 0]);
  aac.tick(1000);
  assert.deepEqual(at(), ["row", 1, 0]);
  assert.deepEqual(hold(aac, "fist", 1100, 1200), []);
  assert.deepEqual(at(), ["item", 1, 0]);
  hold(aac, "rest", 1200, 1600);
  aac.tick(2200);
  assert.deepEqual(at(), ["item", 1, 1]);
  assert.deepEqual(hold(aac, "fist", 2250, 2300), ["said d"]);
  assert.deepEqual(at(), ["row", 0, 0]);
  hold(aac, "rest", 2300, 2700);
  hold(aac, "fist", 2700, 2750);
  for (const now of [4000, 5100, 6200]) aac.tick(now);
  assert.deepEqual(at(), ["item", 0, 1]);
  aac.tick(7300);
  assert.deepEqual(at(), ["row", 0, 0]);
  for (const now of [8400, 9500]) aac.tick(now);
  hold(aac, "rest", 9500, 9900);
  assert.deepEqual(hold(aac, "fist", 9900, 9950), ["said e"], "a row of one phrase is the phrase");
});

test("scanning by two gestures steps and chooses; undo leaves a row first", () => {
  const aac = speaker({ mode: "scan", scan_by: "gesture", step_gesture: "open", select_gesture: "fist",
    undo_gesture: "point", columns: 1 });
  const perform = (label, at) => [...hold(aac, label, at, at + 100), ...hold(aac, "rest", at + 100, at + 500)];
  assert.deepEqual(aac.rows, [["Yes"], ["No"], ["Water"]]);
  assert.deepEqual(perform("open", 0), []);
  assert.deepEqual(perform("fist", 600), ["said No"]);
  assert.equal(aac.scan.row, 0);
  assert.deepEqual(perform("point", 1200), ["undone No"]);
  aac.configure(cleaned({ ...aac.settings, columns: 2 }), PHRASES);
  perform("fist", 1800);
  assert.equal(aac.scan.level, "item");
  assert.deepEqual(perform("point", 2400), []);
  assert.equal(aac.scan.level, "row");
  for (const now of [60_000, 120_000]) assert.deepEqual(told(aac.tick(now)), [], "it does not step by itself");
  assert.equal(aac.scan.row, 0);
  assert.deepEqual(told(aac.choose("Water", 130_000)), ["said Water"]);
});

test("whatever a browser kept, the settings can be worked with", () => {
  for (const kept of [null, 5, "x", [], {}]) assert.deepEqual(cleaned(kept), { ...DEFAULTS, phrases: [] });
  const made = cleaned({ mode: "x", dwell_ms: 1e9, confirm: "again", confirm_s: -3, columns: "3", speak: 1,
    phrases: ["ok", 5, "  ", "y".repeat(1000)], other: 1 });
  assert.deepEqual([made.mode, made.dwell_ms, made.confirm, made.confirm_s, made.columns, made.speak],
    ["direct", 5000, "again", 1, 3, false]);
  assert.deepEqual(made.phrases.map((text) => text.length), [2, 200]);
  assert.ok(!("other" in made));
});

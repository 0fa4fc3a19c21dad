// What the pages' modules compute, without a page.
import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./scripts.mjs";

const { floats, Review } = await load("ui/review_view.js", "floats", "Review");
const { matches, moved } = await load("ui/gesture_list.js", "matches", "moved");
const { fitted, pictureOf } = await load("ui/picture_drop.js", "fitted", "pictureOf");
const { refused } = await load("ui/sketch.js", "refused");
const { isOpen } = await load("ui/tour.js", "isOpen");
const { Sender, Webcam } = await load("ui/webcam.js", "Sender", "Webcam");
const { begin } = await load("ui/path.js", "begin");
const video = await load("ui/video.js", "clockText", "Player");

// An object with a class's methods and just the fields that they read: a constructor wants a page.
const bare = (Class, fields) => Object.assign(Object.create(Class.prototype), fields);

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

test("a Wi-Fi that cannot be one is refused before the download", () => {
  assert.equal(refused("home", "long enough"), "");
  assert.equal(refused("home", ""), "");
  assert.match(refused("", "long enough"), /name/);
  assert.match(refused("é".repeat(17), "long enough"), /32 bytes/);
  assert.match(refused("home", "short"), /8 to 63/);
  assert.match(refused("ho\0me", "long enough"), /number 0/);
});

test("the tour is seen once, and again when it is called", () => {
  assert.equal(isOpen({ first: true, called_ms: 0 }, null), true);
  assert.equal(isOpen({ first: true, called_ms: 0 }, 1), false);
  assert.equal(isOpen({ first: false, called_ms: 5 }, null), true);
  assert.equal(isOpen({ first: false, called_ms: 5 }, 4), true);
  assert.equal(isOpen({ first: true, called_ms: 5 }, 5), false);
});

test("a webcam's connection takes the answer to its own offer, once", async () => {
  const taken = [];
  const connection = {
    signalingState: "have-local-offer",
    async setRemoteDescription({ sdp }) { taken.push(sdp); this.signalingState = "stable"; },
  };
  const sender = bare(Sender, { number: "b", connection });
  for (const answer of [null, { number: "a", sdp: "of an earlier one" }, { number: "b", sdp: "" },
    { number: "b", sdp: "own" }, { number: "b", sdp: "own" }]) await sender.take(answer);
  assert.deepEqual(taken, ["own"]);
});

test("a webcam connects once for each attempt, however often the page runs", async () => {
  let connected = 0;
  const webcam = bare(Webcam, { connect() { connected += 1; } });
  for (const attempt of [0, 0, 0, 1, 1]) webcam.update({ attempt, answer: null }, () => {});
  assert.equal(connected, 2);
});

test("a webcam that is opened for two attempts at once asks the browser for the camera once", async () => {
  const stream = { getTracks: () => [{ readyState: "live" }] };
  let asked = 0;
  const webcam = bare(Webcam, { async open() { asked += 1; this.stream = stream; return stream; } });
  assert.deepEqual(await Promise.all([webcam.camera(), webcam.camera()]), [stream, stream]);
  assert.equal(await webcam.camera(), stream);
  assert.equal(asked, 1);
});

test("another page begins at its top, and the same one stays as it is scrolled", () => {
  const tops = [], page = { querySelector: () => ({ scrollTo: ({ top }) => tops.push(top) }) };
  for (const here of ["Main.py", "Main.py", "pages/9_Play.py", "pages/9_Play.py"]) begin(page, here);
  assert.deepEqual(tops, [0]);
});

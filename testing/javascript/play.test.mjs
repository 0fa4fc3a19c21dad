// The measured tests, without a page: how gestures move the cursor, what a selection is, what a reaction is.
import assert from "node:assert/strict";
import { test } from "node:test";

import { load } from "./scripts.mjs";

const { Tapping, centresOf, Reacting, fittsFigures, sequenceFigures, PlayView } =
  await load("ui/play/play.js", "Tapping", "centresOf", "Reacting", "fittsFigures", "sequenceFigures", "PlayView");

const STEERING = { left: "fist", right: "open", up: "point", down: "flex" };
const settings = (more = {}) => ({ gestures: STEERING, dwell_ms: 500, amplitudes: [400], widths: [100], targets: 5,
  speed: 400, limit_s: 10, ...more });
const STEP = 20;

// Steers as somebody would who goes first along one axis, then along the other; gives what happened and the time.
const play = (task, now, confidence = 1) => {
  const told = [];
  for (let i = 0; i < 20000 && !task.done; i += 1) {
    now += STEP;
    const [dx, dy] = [task.target[0] - task.position[0], task.target[1] - task.position[1]];
    const label = Math.abs(dx) > 10 ? (dx < 0 ? "fist" : "open") : Math.abs(dy) > 10 ? (dy < 0 ? "point" : "flex") : "rest";
    const happened = task.decide(label, confidence, now);
    if (happened) told.push(happened);
  }
  return [told, now];
};

test("the ring is crossed from side to side and ends where it began", () => {
  const centres = centresOf(400, 13, false);
  assert.equal(centres.length, 14);
  assert.deepEqual(centres[0].map(Math.round), [0, -200]);
  assert.deepEqual(centres[13].map(Math.round), centres[0].map(Math.round));
  assert.equal(new Set(centres.map((one) => one.map(Math.round).join())).size, 13);
  for (let i = 1; i < 14; i += 1) {
    const far = Math.hypot(centres[i][0] - centres[i - 1][0], centres[i][1] - centres[i - 1][1]);
    assert.ok(Math.abs(far - 400 * Math.cos(Math.PI / 26)) < 1e-9);
  }
  assert.deepEqual(centresOf(400, 5, true).slice(0, 3), [[-200, 0], [200, 0], [-200, 0]]);
});

test("the cursor goes the way of the gesture, faster the surer the decision, and stands without one", () => {
  const task = new Tapping(settings(), 0);
  task.decide("open", 0.5, 0);
  task.advance(100);
  assert.deepEqual(task.position, [20, 0]);
  task.decide("point", 1, 100);
  task.advance(200);
  assert.deepEqual(task.position, [20, -40]);
  for (const label of ["rest", null, "other"]) {
    task.decide(label, 1, 200);
    task.advance(300);
    assert.deepEqual(task.position, [20, -40]);
  }
  task.decide("open", 1, 300);
  task.stand(300);
  task.advance(400);
  assert.deepEqual(task.position, [20, -40]);
  task.decide("open", 1, 400);
  task.advance(5000);
  assert.ok(task.position[0] <= 60, "a browser that was busy does not throw it across the field");
});

test("a test by dwelling is played to its end, and can be measured", () => {
  const task = new Tapping(settings({ amplitudes: [400, 800], widths: [100, 160] }), 0, () => 0.4);
  const [told] = play(task, 0);
  assert.equal(task.sequences.length, 4);
  assert.equal(new Set(task.sequences.map((one) => `${one.amplitude} ${one.width}`)).size, 4);
  assert.deepEqual(told.filter((one) => one !== "hit"), ["sequence", "sequence", "sequence", "done"]);
  const figures = fittsFigures(task.sequences, 500);
  assert.equal(figures.error_rate, 0);
  assert.equal(figures.trials, 20);
  assert.ok(figures.throughput > 0.3 && figures.throughput < 10);
  assert.ok(figures.path_efficiency > 0.6 && figures.path_efficiency < 1, "along the axes, not straight");
  for (const { trials } of task.sequences) for (const one of trials) assert.ok(one.ms > 500 && one.selected);
});

test("with two gestures there are two targets, and up and down do nothing", () => {
  const task = new Tapping(settings({ gestures: { left: "fist", right: "open" }, targets: 7 }), 0);
  task.decide("point", 1, 0);
  task.advance(100);
  assert.deepEqual(task.position, [0, 0]);
  play(task, 100);
  assert.equal(task.sequences[0].trials.length, 7);
  assert.ok(task.sequences[0].trials.every((one) => one.end[1] === 0));
});

test("a selecting gesture counts once for each performance, and beside the target it is an error", () => {
  const task = new Tapping(settings({ gestures: { ...STEERING, select: "pinch" } }), 0);
  assert.equal(task.decide("pinch", 1, 0), "miss", "the first target begins only when it is met");
  assert.equal(task.leads, true);
  task.position = [...task.target];
  task.decide("rest", 1, 10);
  assert.equal(task.decide("pinch", 1, 20), "hit");
  assert.equal(task.decide("pinch", 1, 40), null, "still the same performance");
  task.decide("rest", 1, 60);
  assert.equal(task.decide("pinch", 1, 1020), "miss");
  assert.deepEqual([task.trials[0].ms, task.trials[0].selected], [1000, true]);
  assert.equal(task.advance(1030), null, "staying inside selects nothing");
});

test("leaving a target before it is selected is an overshoot, and time runs out", () => {
  const task = new Tapping(settings({ gestures: { left: "fist", right: "open" }, amplitudes: [300] }), 0);
  task.position = [...task.target];
  task.advance(10);
  assert.equal(task.advance(600), "hit");
  task.position = [140, 0];
  task.advance(700);
  task.position = [280, 0];
  task.advance(800);
  assert.equal(task.overshoots, 1);
  assert.equal(task.advance(11000), null, "the dwell time is not part of the limit");
  assert.equal(task.advance(11101), "late");
  assert.deepEqual([task.trials[0].selected, task.trials[0].overshoots], [false, 1]);
});

test("what cannot be measured gives nothing", () => {
  const at = (x) => ({ origin: [0, 0], target: [100, 0], start: [0, 0], end: [x, 0], ms: 1000, travelled: 100,
    overshoots: 0, selected: true });
  const of = (...xs) => sequenceFigures({ amplitude: 100, width: 20, trials: xs.map(at) }, 0);
  assert.equal(of(90, 95, 100, 105), null);
  assert.equal(of(100, 100, 100, 100, 100), null);
  assert.equal(of(0, 0, 0, 0, 0), null);
  assert.ok(of(90, 95, 100, 105, 110).throughput > 1);
  assert.equal(fittsFigures([], 0), null);
});

const REACTING = { gestures: ["fist", "open"], trials: 6, limit_s: 3, foreperiod_s: [1, 2] };

test("a prompt comes after rest and a time by chance, and the right gesture's arrival is the time", () => {
  const task = new Reacting(REACTING, 0, () => 0.5);
  assert.equal(task.advance(5000), null, "not before rest");
  task.decide("rest", 1, 5000);
  assert.equal(task.advance(6499), null);
  assert.equal(task.decide("fist", 1, 6499), "early");
  task.decide(null, 1, 7000);
  assert.equal(task.advance(8500), "prompt");
  const { gesture } = task, other = gesture === "fist" ? "open" : "fist";
  assert.equal(task.decide("rest", 1, 8600), null);
  assert.equal(task.decide(other, 1, 8700), null);
  assert.equal(task.decide(gesture, 1, 9112), "recognised");
  assert.deepEqual(task.trials, [{ gesture, foreperiod_ms: 1500, ms: 612, first: other, early: 1 }]);
  assert.equal(task.advance(10500), "next");
  task.decide("rest", 1, 10600);
  assert.equal(task.advance(12100), "prompt");
  assert.equal(task.advance(15101), "missed");
  assert.deepEqual([task.trials[1].ms, task.trials[1].first], [null, null]);
});

test("every gesture is prompted as often as the others, and then it is over", () => {
  const task = new Reacting(REACTING, 0, () => 0.3);
  let now = 0, end = null;
  while (end !== "done" && now < 100000) {
    now += 50;
    task.decide(task.state === "go" ? task.gesture : "rest", 1, now);
    end = task.advance(now);
  }
  assert.equal(end, "done");
  assert.deepEqual(task.trials.map((one) => one.gesture).sort(), ["fist", "fist", "fist", "open", "open", "open"]);
});

test("the view ends a test when decisions stop or another model takes over, and sends only what was played", () => {
  const words = { lost: "lost", changed: "changed", done_fitts: "{throughput}", lead: "", dwell: "", round: "" };
  const sent = [], said = [];
  const view = Object.create(PlayView.prototype);
  const begin = (may_store) => {
    Object.assign(view, { kind: "fitts", data: { kind: "fitts", words, may_store, settings: settings() }, version: 3,
      feed: { arrivedAt: 0, state: () => "live" }, frameAt: 0, told: "", task: new Tapping(settings(), 0),
      say: (text) => said.push(text), clear() {}, onFinished: (one) => sent.push(one) });
  };
  begin(true);
  view.receive({ type: "decision", label: "fist", confidence: 1, model_version: 4 });
  assert.equal(said.pop(), "changed");
  for (const may_store of [false, true]) {
    begin(may_store);
    play(view.task, 0);
    view.finish();
  }
  assert.equal(sent.length, 1, "a viewer sends nothing");
  assert.deepEqual([sent[0].kind, sent[0].model_version, sent[0].raw.sequences.length], ["fitts", 3, 1]);
  assert.equal(view.task, null);
});

// What a plan says at a time: words, countdown and tones of the prompt. Nothing here touches a page.
import { named } from "./gesture_names.js";

export const clockText = (seconds) => {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

export const isPerformance = (step) => !step.dropped && step.gesture !== null && step.gesture !== "rest";

// A value that looks like a sign of the sentence, or of replace(), is put in as it is.
export const fill = (sentence, values) =>
  sentence.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));

const GREY = "#5f6f7c";
const TICKS = 3, LONGEST_TICK_S = 1;

// What is shown at a time in the plan. `part` is how much of the step has passed; with `calm` it moves once a second.
export const promptAt = (data, at, calm = false) => {
  const { steps, words } = data;
  const total = steps[steps.length - 1].end_s;
  const called = (gesture) => (gesture === "rest" ? words.rest : named(data.names, gesture));
  const nextOf = (step) => (step ? fill(words.next, { gesture: called(step.gesture) }) : words.next_end);
  const performances = steps.filter(isPerformance);
  const progress = fill(words.progress, {
    done: performances.filter((step) => step.end_s <= at).length,
    all: performances.length,
    left: clockText(total - Math.max(at, 0)),
  });
  const base = { kind: "", about: "", count: "", next: "", part: 0, colour: GREY, progress, step: null, coming: null };
  if (data.paused_s !== null) {
    const coming = performances.find((step) => step.start_s >= at) || null;
    return { ...base, state: "paused", kind: words.paused, name: nextOf(coming), about: words.nothing_labelled,
      count: "‖", coming };
  }
  const index = steps.findIndex((step) => at < step.end_s);
  if (index < 0) {
    return { ...base, state: "done", name: words.done, about: words.last_labels, part: 1, colour: "#0b7a55",
      progress: "" };
  }
  const step = steps[index];
  const gone = Math.max(at, step.start_s) - step.start_s;
  const coming = steps.slice(index + 1).find(isPerformance) || null;
  const isWaiting = step.gesture === null;
  const announced = coming ? fill(index > 0 ? words.then : words.first, { gesture: called(coming.gesture) }) : "";
  return {
    ...base,
    state: isWaiting ? "prepare" : step.gesture,
    kind: isWaiting ? words.get_ready : step.gesture === "rest" ? words.relax
      : data.once?.includes(step.gesture) ? words.perform_once : words.perform,
    name: isWaiting ? announced : called(step.gesture),
    about: isWaiting ? words.sit : data.descriptions[step.gesture] || "",
    count: String(Math.max(1, Math.ceil(step.end_s - Math.max(at, step.start_s)))),
    next: nextOf(coming),
    part: (calm ? Math.floor(gone) : gone) / (step.end_s - step.start_s),
    colour: isWaiting ? GREY : data.gesture_colours[step.gesture] || "#7f7f7f",
    step: isWaiting ? null : step,  // in rest the resting hand: a person does what the picture shows
    coming,
  };
};

// The tones of a plan: three short ticks before each gesture, a high one at its start, a low one at its end. Ticks are
// a second apart, or closer where the rest before is short, so that they never meet the end of the gesture before.
export const cues = (steps) => {
  const found = [];
  let free_s = 0;
  for (const step of steps) {
    if (!isPerformance(step)) continue;
    const apart_s = Math.min(LONGEST_TICK_S, (step.start_s - free_s) / (TICKS + 1));
    for (let n = TICKS; n > 0 && apart_s > 0; n--) found.push({ at_s: step.start_s - n * apart_s, tone: "tick" });
    found.push({ at_s: step.start_s, tone: "start" }, { at_s: step.end_s, tone: "end" });
    free_s = step.end_s;
  }
  return found;
};

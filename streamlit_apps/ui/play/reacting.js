// A reaction test without a page: a gesture is prompted after a time by chance, and waited for until it is recognised.

import { shuffled } from "./tapping.js";

const SHOWN_MS = 1300;  // how long it says what came of a prompt

export class Reacting {
  constructor(settings, now, random = Math.random) {
    this.settings = settings;
    this.random = random;
    const { gestures, trials } = settings;
    this.plan = shuffled(Array.from({ length: trials }, (_, i) => gestures[i % gestures.length]), random);
    this.trials = [];
    this.begin();
  }

  get done() { return this.trials.length === this.plan.length && this.state === "over"; }
  get gesture() { return this.plan[this.trials.length]; }

  begin() {
    Object.assign(this, { state: "relax", early: 0, first: null });
  }

  // A decision: null is unsure. Gives "early", "recognised" or null.
  decide(label, confidence, now) {
    const relaxed = label === null || label === "rest";
    if (this.state === "relax" && relaxed) {
      const [least, most] = this.settings.foreperiod_s;
      this.foreperiodMs = 1000 * (least + (most - least) * this.random());
      Object.assign(this, { state: "wait", since: now });
    } else if (this.state === "wait" && !relaxed) {
      this.state = "relax";
      this.early += 1;
      return "early";
    } else if (this.state === "go" && !relaxed) {
      if (this.first === null) this.first = label;
      if (label === this.gesture) return this.end(now, Math.round(now - this.since));
    }
    return null;
  }

  // Gives "prompt" when the gesture is to be shown, "missed", "next", "done", or null.
  advance(now) {
    if (this.state === "wait" && now - this.since >= this.foreperiodMs) {
      Object.assign(this, { state: "go", since: now });
      return "prompt";
    }
    if (this.state === "go" && now - this.since > this.settings.limit_s * 1000) return this.end(now, null);
    if (this.state === "shown" && now - this.since > SHOWN_MS) {
      if (this.trials.length === this.plan.length) {
        this.state = "over";
        return "done";
      }
      this.begin();
      return "next";
    }
    return null;
  }

  end(now, ms) {
    const { gesture, first, early } = this;
    this.trials.push({ gesture, foreperiod_ms: Math.round(this.foreperiodMs), ms, first, early });
    Object.assign(this, { state: "shown", since: now });
    return ms === null ? "missed" : "recognised";
  }
}

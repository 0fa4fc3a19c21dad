// What a person says by gestures: dwell, confirmation, undo, scanning. No page and no clock in here: times are given,
// and what has happened comes back as events, so that all of it is tested alone.
//
// Nothing is said twice without rest in between, and nothing after a moment in which the stream was not there.

export const REST_MS = 300;       // so much rest ends a performance: a flicker does not speak twice
export const SILENT_MS = 1500;    // what was held before so long a silence is not held any more
const KEPT_PHRASES = 20;

export class Aac {
  constructor() {
    this.history = [];
    this.reset();
  }

  // Whatever is half done is forgotten: another person, or the stream is not there.
  reset() {
    this.held = null;       // the gesture that goes on: {label, since, seen, done}
    this.restSince = 0;
    this.rested = true;
    this.spent = new Set(); // performed since the last rest
    this.pending = null;    // waits for a confirmation: {label, phrase, until}
    this.scan = { level: "row", row: 0, item: 0, rounds: 0, at: null };
  }

  // What has been said stays said: changed settings repeat nothing, and what waits is not said.
  configure(settings, phrases) {
    this.pending = null;
    this.settings = settings;
    this.phrases = phrases;
    const own = settings.phrases.filter((text) => text.trim());
    const all = own.length ? own : [...new Set(Object.values(phrases))];
    this.rows = [];
    for (let i = 0; i < all.length; i += settings.columns) this.rows.push(all.slice(i, i + settings.columns));
    this.leaveRow(null);
  }

  get scans() { return this.settings.mode === "scan" && this.rows.length > 0; }

  // A decision has come; null is unsure, which is neither rest nor another gesture.
  decide(label, now) {
    const events = this.tick(now);
    if (this.held && now - this.held.seen >= SILENT_MS) this.held = null;
    if (label === "rest") {
      this.restSince ||= now;
      if (!this.rested && now - this.restSince >= REST_MS) {
        this.rested = true;
        this.held = null;
        this.spent.clear();
        events.push({ type: "rest" });
      }
      return events;
    }
    if (label === null) {
      if (this.held && now - this.held.seen >= REST_MS) this.held = null;
      return events;
    }
    this.restSince = 0;
    this.rested = false;
    if (!this.held || this.held.label !== label) this.held = { label, since: now, seen: now, done: false };
    this.held.seen = now;
    if (!this.held.done && !this.spent.has(label) && now - this.held.since >= this.settings.dwell_ms) {
      this.held.done = true;
      this.spent.add(label);
      events.push({ type: "activated", label }, ...this.perform(label, now));
    }
    return events;
  }

  // A short gesture was performed: its one decision is the whole of it, and no holding is waited for.
  decideOnce(label, now) {
    return [...this.tick(now), { type: "activated", label }, ...this.perform(label, now)];
  }

  // Time has passed while the stream is there.
  tick(now) {
    const events = [];
    if (this.pending && now >= this.pending.until) {
      events.push({ type: "dropped", phrase: this.pending.phrase });
      this.pending = null;
    }
    if (this.scans && this.settings.scan_by === "time") {
      if (this.scan.at === null) this.scan.at = now;
      else if (now - this.scan.at >= this.settings.scan_ms) events.push(...this.step(now));
    }
    return events;
  }

  // The stream is not there: what waits is not said, and nothing goes on by itself.
  lose() {
    const events = this.pending ? [{ type: "dropped", phrase: this.pending.phrase }] : [];
    this.reset();
    return events;
  }

  perform(label, now) {
    const { settings } = this;
    if (label === settings.undo_gesture) return this.undo();
    if (this.scans) {
      if (label === settings.select_gesture) return this.select(now);
      if (settings.scan_by === "gesture" && label === settings.step_gesture) return this.step(now);
      return [];
    }
    const confirms = settings.confirm === "gesture" && label === settings.confirm_gesture;
    const again = settings.confirm === "again" && this.pending && label === this.pending.label;
    if (this.pending && (confirms || again)) return this.confirm();
    const phrase = this.phrases[label];
    if (confirms || !phrase) return [];
    if (settings.confirm === "none") return this.say(label, phrase);
    this.pending = { label, phrase, until: now + 1000 * settings.confirm_s };
    return [{ type: "asked", label, phrase }];
  }

  confirm() {
    if (!this.pending) return [];
    const { label, phrase } = this.pending;
    this.pending = null;
    return this.say(label, phrase);
  }

  undo() {
    if (this.pending) {
      const { phrase } = this.pending;
      this.pending = null;
      return [{ type: "dropped", phrase }];
    }
    if (this.scans && this.scan.level === "item" && this.rows.length > 1) return this.leaveRow(this.scan.at);
    const last = this.history.pop();
    return last === undefined ? [{ type: "nothing" }] : [{ type: "undone", phrase: last }];
  }

  say(label, phrase) {
    this.history.push(phrase);
    if (this.history.length > KEPT_PHRASES) this.history.shift();
    return [{ type: "said", label, phrase }];
  }

  // The share of the dwell time that the gesture has been held, from 0 to 1.
  heldShare(now) {
    if (!this.held || this.held.done || this.spent.has(this.held.label) || !this.settings.dwell_ms) return 0;
    return Math.min(1, Math.max(0, (now - this.held.since) / this.settings.dwell_ms));
  }

  leaveRow(at) {
    const level = this.rows.length > 1 ? "row" : "item";  // one row needs no choice among rows
    this.scan = { level, row: 0, item: 0, rounds: 0, at };
    return [{ type: "stepped" }];
  }

  step(now) {
    const { scan } = this;
    scan.at = now;
    if (scan.level === "row") {
      scan.row = (scan.row + 1) % this.rows.length;
      return [{ type: "stepped" }];
    }
    scan.item += 1;
    if (scan.item < this.rows[scan.row].length) return [{ type: "stepped" }];
    scan.item = 0;
    scan.rounds += 1;
    // Nobody chose in two rounds: it was the wrong row.
    return scan.rounds >= 2 && this.rows.length > 1 ? this.leaveRow(now) : [{ type: "stepped" }];
  }

  select(now) {
    const { scan } = this;
    scan.at = now;
    const row = this.rows[scan.row];
    if (scan.level === "row" && row.length > 1) {
      Object.assign(scan, { level: "item", item: 0, rounds: 0 });
      return [{ type: "stepped" }];
    }
    return this.choose(row[scan.item], now);
  }

  // Chosen from the list, by scanning or by touch.
  choose(phrase, now) {
    this.leaveRow(this.scan.at === null ? null : now);
    return this.say(null, phrase);
  }
}

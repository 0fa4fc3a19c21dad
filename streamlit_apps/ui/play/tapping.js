// A tapping task after ISO/TS 9241-411, without a page: targets in a ring, crossed in turn by a cursor that gestures
// move. With two gestures there are two targets side by side. Times are of performance.now(); lengths are units of a
// field that reaches from -500 to 500.

export const FIELD = 500;
const MAX_STEP_MS = 100;  // of one movement: a browser that was busy does not throw the cursor across the field

const WAYS = { left: [-1, 0], right: [1, 0], up: [0, -1], down: [0, 1] };

export const isReduced = (gestures) => !gestures.up || !gestures.down;

// The centres of a sequence's targets in the order in which they are crossed; the first comes again at the end.
export const centresOf = (amplitude, targets, reduced) => Array.from({ length: targets + 1 }, (_, i) => {
  if (reduced) return [(i % 2 ? 1 : -1) * amplitude / 2, 0];
  const angle = 2 * Math.PI * ((i * (targets + 1) / 2) % targets) / targets - Math.PI / 2;
  return [amplitude / 2 * Math.cos(angle), amplitude / 2 * Math.sin(angle)];
});

export const shuffled = (values, random) => {
  const made = [...values];
  for (let i = made.length - 1; i > 0; i -= 1) {
    const j = Math.floor(random() * (i + 1));
    [made[i], made[j]] = [made[j], made[i]];
  }
  return made;
};

const rounded = (point) => point.map((value) => Math.round(value * 100) / 100);

export class Tapping {
  constructor(settings, now, random = Math.random) {
    this.settings = settings;
    this.reduced = isReduced(settings.gestures);
    this.plan = shuffled(settings.amplitudes.flatMap((amplitude) =>
      settings.widths.map((width) => ({ amplitude, width }))), random);
    this.sequences = [];
    this.velocity = [0, 0];
    this.label = null;
    this.movedAt = now;
    this.begin(now);
  }

  get done() { return this.sequences.length === this.plan.length; }
  get target() { return this.centres[this.at]; }
  // Whether the first target of a sequence is still to be reached: no movement is measured before.
  get leads() { return this.at === 0; }

  begin(now) {
    const { amplitude, width } = this.plan[this.sequences.length];
    Object.assign(this, { amplitude, width, at: 0, trials: [], position: [0, 0] });
    this.centres = centresOf(amplitude, this.settings.targets, this.reduced);
    this.aim(now);
  }

  aim(now) {
    Object.assign(this, { startedAt: now, start: [...this.position], travelled: 0, overshoots: 0, insideSince: null });
    this.look(now);
  }

  isInside() {
    return Math.hypot(this.position[0] - this.target[0], this.position[1] - this.target[1]) <= this.width / 2;
  }

  look(now) {
    const inside = this.isInside();
    if (inside && this.insideSince === null) this.insideSince = now;
    if (!inside && this.insideSince !== null) {
      this.insideSince = null;
      this.overshoots += 1;
    }
  }

  // A decision: the cursor goes on with its speed. Gives what happened, or null, as advance does.
  decide(label, confidence, now) {
    const happened = this.advance(now);
    if (this.done) return happened;
    const { gestures, speed } = this.settings;
    const way = Object.keys(WAYS).find((one) => gestures[one] && gestures[one] === label && (!this.reduced || WAYS[one][0]));
    this.velocity = way ? WAYS[way].map((part) => part * speed * confidence) : [0, 0];
    const begins = label !== this.label;
    this.label = label;
    if (gestures.select && label === gestures.select && begins && !happened) return this.select(now);
    return happened;
  }

  // Without decisions the cursor stands still.
  stand(now) {
    const happened = this.advance(now);
    this.velocity = [0, 0];
    return happened;
  }

  // Move until now; gives "hit" or "miss" after a selection, "late" when a trial's time is over, "sequence" or "done"
  // when that was the last of it, else null.
  advance(now) {
    if (this.done) return null;
    const step = Math.min(MAX_STEP_MS, now - this.movedAt) / 1000;
    this.movedAt = now;
    const before = this.position;
    this.position = before.map((value, i) => Math.max(-FIELD, Math.min(FIELD, value + this.velocity[i] * step)));
    this.travelled += Math.hypot(this.position[0] - before[0], this.position[1] - before[1]);
    this.look(now);
    const { gestures, dwell_ms, limit_s } = this.settings;
    if (!gestures.select && this.dwelt(now) >= 1) return this.select(now);
    if (!this.leads && now - this.startedAt > limit_s * 1000 + (gestures.select ? 0 : dwell_ms)) return this.end(now, false);
    return null;
  }

  // How much of the dwell time is over, 0 to 1.
  dwelt(now) {
    if (this.insideSince === null || this.settings.gestures.select) return 0;
    return Math.min(1, (now - this.insideSince) / this.settings.dwell_ms);
  }

  select(now) {
    if (this.leads) {
      if (!this.isInside()) return "miss";
      this.at = 1;
      this.aim(now);
      return "hit";
    }
    return this.end(now, true);
  }

  end(now, selected) {
    const happened = !selected ? "late" : this.isInside() ? "hit" : "miss";
    this.trials.push({
      origin: rounded(this.centres[this.at - 1]), target: rounded(this.target), start: rounded(this.start),
      end: rounded(this.position), ms: Math.round(now - this.startedAt), travelled: Math.round(this.travelled * 100) / 100,
      overshoots: this.overshoots, selected,
    });
    this.at += 1;
    if (this.at < this.centres.length) {
      this.aim(now);
      return happened;
    }
    this.sequences.push({ amplitude: this.amplitude, width: this.width, trials: this.trials });
    if (this.done) return "done";
    this.begin(now);
    return "sequence";
  }
}

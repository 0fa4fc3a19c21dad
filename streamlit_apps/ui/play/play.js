// A test that is played by gestures: the decisions of the live stream steer it, and what comes of it is told and sent.

import { named } from "../gesture_names.js";
import { Kept, partIn } from "../kept.js";
import { Feed } from "../live/feed.js";
import { button, el, fill, write } from "../live/parts.js";
import { Pictures } from "../live/pictures.js";
import { Field } from "./field.js";
import { fittsFigures } from "./fitts.js";
import { Reacting } from "./reacting.js";
import { reactionFigures } from "./reaction.js";
import { isReduced, Tapping } from "./tapping.js";

const LOST_AFTER_MS = 2000;   // without a decision, or without a frame: what is measured then would be of the machine

const percent = (share) => Math.round(100 * share);

class PlayView extends Kept {
  constructor(mount) {
    super();
    this.mount = mount;
    this.feed = new Feed((message) => this.receive(message), () => this.onRefused());
    this.onKey = (event) => { if (event.key === "Escape" && this.task) this.end(this.data.words.ended); };
    document.addEventListener("keydown", this.onKey);
    const frame = () => {
      if (this.disposed) return;
      if (this.data) this.tick(performance.now());
      this.frameRequest = requestAnimationFrame(frame);
    };
    this.frameRequest = requestAnimationFrame(frame);
  }

  build(data) {
    this.kind = data.kind;
    this.mount.replaceChildren();
    const head = el("div", "head");
    this.start = button("start", "", () => (this.task ? this.end(this.data.words.ended) : this.begin()));
    this.status = el("div", "status");
    this.status.setAttribute("role", "status");
    this.progress = el("div", "progress");
    head.append(this.start, this.status, this.progress);
    this.stage = el("div", `stage ${data.kind}`);
    if (data.kind === "fitts") this.field = new Field(this.stage);
    else {
      this.pictures = new Pictures(this.stage);
      this.word = el("div", "word");
      this.stage.append(this.word);
    }
    this.mount.append(head, this.stage);
    this.clear(data);
  }

  clear(data) {
    if (this.field) {
      this.field.clear(isReduced(data.settings.gestures));
      this.field.label(data.words.field);
    } else {
      this.pictures.show(null);
      write(this.word, "");
    }
    write(this.progress, "");
  }

  update(data, onRefused, onFinished) {
    if (this.kind !== data.kind) this.build(data);
    const settingsChanged = JSON.stringify(this.data?.settings) !== JSON.stringify(data.settings);
    this.data = data;
    this.onRefused = onRefused;
    this.onFinished = onFinished;
    this.mount.lang = data.language;
    this.pictures?.update(data.pictures);
    if (settingsChanged && !this.task && !this.told) this.clear(data);
    this.feed.follow(data.url, data.token);
  }

  begin() {
    const now = performance.now(), { data } = this;
    if (this.start.disabled) return;
    this.mount.scrollIntoView?.({ block: "start" });
    this.told = "";
    this.version = this.last.model_version;
    this.frameAt = now;
    this.task = data.kind === "fitts" ? new Tapping(data.settings, now) : new Reacting(data.settings, now);
    this.say(data.kind === "fitts" ? this.order() : data.words.relax);
  }

  // What is to be done now in the tapping task.
  order() {
    const { words, settings } = this.data;
    if (this.task.leads) return words.lead;
    const { select } = settings.gestures;
    return select ? fill(words.select, { gesture: named(this.data.names, select) })
      : fill(words.dwell, { seconds: settings.dwell_ms / 1000 });
  }

  say(text) { write(this.status, text); }

  // End without a result.
  end(why) {
    this.task = null;
    this.told = why;
    this.say(why);
    this.clear(this.data);
  }

  receive(message) {
    if (message.type !== "decision") return;
    const now = performance.now();
    this.feed.arrivedAt = now;
    this.last = message;
    if (!this.task) return;
    if (message.model_version !== this.version) { this.end(this.data.words.changed); return; }
    this.tell(this.task.decide(message.label, message.confidence, now));
  }

  tell(happened) {
    if (!happened) return;
    const { words } = this.data;
    if (happened === "done") this.finish();
    else if (this.kind === "fitts") {
      this.say(happened === "hit" ? this.order() : happened === "sequence" ? words.lead : words[happened]);
    } else this.tellReaction(happened, words);
  }

  tellReaction(happened, words) {
    const last = this.task.trials[this.task.trials.length - 1];
    const { gesture } = this.task, called = named(this.data.names, gesture);
    this.say({
      prompt: () => fill(words.perform, { gesture: called }),
      early: () => words.early,
      next: () => words.relax,
      missed: () => words.missed,
      recognised: () => fill(words.recognised, { ms: last.ms }),
    }[happened]());
    this.pictures.show(happened === "prompt" ? gesture : null);
    write(this.word, happened === "prompt" ? called : "");
  }

  finish() {
    const { words, may_store } = this.data, { task } = this, fitts = this.kind === "fitts";
    const { settings } = task, raw = fitts ? { sequences: task.sequences } : { trials: task.trials };
    const figures = fitts ? fittsFigures(raw.sequences, settings.gestures.select ? 0 : settings.dwell_ms)
      : reactionFigures(raw.trials);
    this.end(figures === null ? words.too_little : fitts ? fill(words.done_fitts, {
      throughput: figures.throughput.toFixed(2), errors: percent(figures.error_rate),
      efficiency: percent(figures.path_efficiency) })
      : figures.median_ms === null ? words.none_recognised : fill(words.done_reaction, {
        median: Math.round(figures.median_ms), iqr: Math.round(figures.iqr_ms), wrong: figures.wrong_first,
        missed: figures.missed }));
    if (figures !== null && may_store) this.onFinished({ kind: this.kind, model_version: this.version, settings, raw });
  }

  tick(now) {
    const { data, task } = this, { words } = data, live = this.feed.state(now) === "live";
    if (task) {
      const since = Math.max(now - this.frameAt, now - this.feed.arrivedAt);
      this.frameAt = now;
      if (since > LOST_AFTER_MS) this.end(words.lost);
      else this.tell(live || !task.stand ? task.advance(now) : task.stand(now));
    } else if (!this.told || !live) {
      this.say(data.problem || (live ? words[`idle_${this.kind}`] : this.told || words.waiting));
    }
    const running = this.task;
    if (running) {
      this.field?.show(running, performance.now());
      write(this.progress, this.kind === "fitts"
        ? fill(words.round, { done: running.sequences.length + 1, all: running.plan.length, trial: running.at,
          trials: running.centres.length - 1 })
        : fill(words.progress, { done: running.trials.length, all: running.plan.length }));
    }
    write(this.start, running ? words.stop : words.start);
    this.start.classList.toggle("on", Boolean(running));
    this.start.disabled = !running && (!live || Boolean(data.problem));
    Object.assign(this.mount.dataset, { state: running ? "running" : live ? "ready" : "waiting",
      gesture: this.last?.label ?? "" });
  }

  dispose() {
    document.removeEventListener("keydown", this.onKey);
    cancelAnimationFrame(this.frameRequest);
    this.feed.dispose();
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const view = partIn(parentElement.querySelector(".semg-play"), (mount) => new PlayView(mount));
  view.update(data, () => setTriggerValue("refused", Date.now()), (sent) => setTriggerValue("finished", sent));
  return () => view.disposeSoon();
}

// Draws a profile's live stream: signals and decisions on a canvas, the probability of every gesture, what is said.
// Streamlit runs the default export again at every rerun; the view and its WebSocket live on through it.

import { Kept, partIn } from "../kept.js";
import { Bars, shownNames } from "./bars.js";
import { Chart } from "./chart.js";
import { Events } from "./events.js";
import { Feed } from "./feed.js";
import { Figures } from "./figures.js";
import { onShortcut } from "./keys.js";
import { shownNext } from "./once.js";
import { button, choice, el, write } from "./parts.js";
import { Pictures } from "./pictures.js";
import { KEPT_S, Ring } from "./ring.js";
import { Talk } from "./talk.js";
import { Teacher } from "./teacher.js";

const DECIDED_FOR_MS = 1500;    // after this long without a decision none is shown
const SUMMED_UP_EVERY_MS = 5000;

class LiveView extends Kept {
  constructor(mount) {
    super();
    this.mount = mount;
    this.decisions = [];
    this.paused = false;
    this.dirty = true;
    this.latestMs = this.decidedAt = 0;
    this.feed = new Feed((message) => this.receive(message), () => this.onRefused());
    this.build();
    this.onKey = (event) => { if (!this.data?.compact) onShortcut(event, this); };
    document.addEventListener("semg-key", this.onKey);
    this.ticker = setInterval(() => this.tick(), 100);
    this.resizer = new ResizeObserver(() => { this.dirty = true; });
    this.resizer.observe(this.canvas);
    const frame = () => {
      if (this.disposed) return;
      this.draw();
      this.frameRequest = requestAnimationFrame(frame);
    };
    this.frameRequest = requestAnimationFrame(frame);
  }

  build() {
    this.mount.replaceChildren();
    const top = el("div", "top"), said = el("div", "said");
    this.now = el("div", "now");
    this.pictures = new Pictures(this.now);
    this.label = el("div", "label", "…");
    this.label.setAttribute("aria-live", "polite");
    this.detail = el("div", "detail", "");
    said.append(this.label, this.detail);
    this.now.append(said);
    const chances = el("div", "bars");
    this.bars = new Bars(chances);
    top.append(this.now, chances);
    const talk = el("div", "talk"), talkButtons = el("span", "talk-buttons");
    this.talk = new Talk(talk, talkButtons);
    this.stage = el("div", "stage");
    this.canvas = el("canvas");
    this.canvas.setAttribute("role", "img");
    this.chart = new Chart(this.canvas);
    this.notice = el("div", "notice");
    this.notice.setAttribute("role", "status");
    this.stage.append(this.canvas, this.notice);
    this.controls = el("div", "controls");
    this.teacher = new Teacher(() => this.moment(), (sent) => this.onTaught(sent));
    this.events = new Events();
    this.figures = new Figures();
    this.talkButtons = talkButtons;
    this.mount.append(top, talk, this.stage, this.controls, this.talk.panel.box, this.teacher.box, this.events.box,
      this.figures.box);
  }

  buildControls() {
    const { data } = this;
    const signature = JSON.stringify([data.channels, data.compact, data.keys]);
    if (signature === this.controlsFor) return;
    this.controlsFor = signature;
    this.controls.replaceChildren();
    if (data.compact) return;
    this.pauseButton = button("pause", this.paused ? "Resume" : "Pause", () => this.togglePause());
    if (data.keys.pause) this.pauseButton.title = `Key ${data.keys.pause}`;
    const { chart } = this;
    const change = (name, value) => { chart[name] = value; this.dirty = true; };
    const chips = el("div", "chips");
    chips.setAttribute("role", "group");
    chips.setAttribute("aria-label", "Channels");
    data.channels.forEach((name, index) => {
      const chip = button("chip", name, () => {
        if (chart.hidden.has(name)) chart.hidden.delete(name); else chart.hidden.add(name);
        show();
        this.dirty = true;
      });
      const show = () => {
        chip.classList.toggle("off", chart.hidden.has(name));
        chip.setAttribute("aria-pressed", String(!chart.hidden.has(name)));
      };
      chip.style.setProperty("--c", data.channel_colours[index]);
      chip.title = `Show or hide ${name}`;
      show();
      chips.append(chip);
    });
    this.controls.append(
      this.pauseButton, this.talkButtons,
      choice("Scale", [["auto", "each channel"], ["common", "same for all"], ["full", "full range"]], chart.scale,
        (value) => change("scale", value)),
      choice("Span", [["2", "2 s"], ["5", "5 s"], ["10", "10 s"]], String(chart.seconds),
        (value) => change("seconds", Number(value))),
      chips);
  }

  togglePause() {
    this.paused = !this.paused;
    this.pauseButton.textContent = this.paused ? "Resume" : "Pause";
    this.pauseButton.classList.toggle("on", this.paused);
    this.dirty = true;
  }

  toggleSpeech() { if (this.talk.used) this.talk.toggleSpeech(); }

  // What the picture ends with, in the server's time: the present, or the moment of the pause. Null without samples.
  moment() {
    const now = performance.now();
    if (this.paused) return this.edgeMs || null;
    return this.feed.state(now) === "live" ? this.latestMs : null;
  }

  update(data, onRefused, onTaught) {
    const before = this.data;
    this.data = data;
    this.onRefused = onRefused;
    this.onTaught = onTaught;
    this.mount.classList.toggle("compact", Boolean(data.compact));
    this.stage.style.height = `${data.height}px`;
    this.buildControls();
    this.talk.update(data);
    this.pictures.update(data.pictures);
    this.talkButtons.hidden = !this.talk.used;
    this.teacher.update(data);
    const other = !before || before.url !== data.url;
    if (other || before.channels.join() !== data.channels.join() || before.rate_hz !== data.rate_hz) {
      this.ring = new Ring(data.channels, data.rate_hz);
      this.decisions = [];
    }
    if (other) {
      this.decidedAt = this.latestMs = this.edgeMs = 0;
      this.last = null;
      this.bars.clear();
      this.events.clear();
      this.figures.clear();
    }
    this.feed.follow(data.url, data.token);
    this.dirty = true;
  }

  receive(message) {
    const now = performance.now();
    if (message.type === "samples") {
      this.feed.arrivedAt = now;
      this.figures.count(now, message.values.length);
      if (message.channels.join() !== this.ring.channels.join()) {
        this.ring = new Ring(message.channels, this.data.rate_hz);
      }
      this.latestMs = message.server_ms[message.server_ms.length - 1];
      if (!this.paused) {
        message.values.forEach((row, i) => this.ring.push(message.server_ms[i], row, i === 0 && message.starts_run));
      }
      this.fresh = true;
    } else if (message.type === "decision") {
      this.decidedAt = now;
      this.figures.decided(message);
      this.shown = shownNext(this.shown, message, now);
      this.talk.decide(message, now);
      if (!this.paused) {
        this.decisions.push({ at: Date.parse(message.window_end_at), label: message.label });
        const from = this.latestMs - KEPT_S * 1000;
        while (this.decisions.length && this.decisions[0].at < from) this.decisions.shift();
      }
      this.fresh = true;
    } else if (message.type === "event") {
      this.events.add(message);
    } else if (message.type === "dropped") {
      this.figures.dropped += message.messages;
    }
  }

  tick() {
    if (!this.data) return;
    const now = performance.now(), { feed } = this;
    const state = feed.state(now);
    const notices = {
      live: "",
      connecting: "Connecting to the live stream …",
      waiting: "No samples yet. Switch the sensor on; it should send to this machine's UDP port.",
      stopped: `The stream stopped ${feed.silentS(now)} s ago. Check the sensor's power and its Wi-Fi.`,
      offline: `The API at ${this.data.url.replace(/\/ws\/.*/, "")} cannot be reached. Trying again …`,
      refused: feed.refusals > 2
        ? "The API refuses this page. Open the app at the address set in PUBLIC_APP_URL."
        : "Renewing access to the live stream …",
      gone: "This profile was deleted.",
    };
    write(this.notice, notices[state]);
    this.notice.className = `notice ${notices[state] ? "shown" : ""} ${state}`;
    const current = this.showLabel(now, state);
    this.talk.tick(now, current);
    this.figures.show(now, state);
    this.sumUp(now, state);
    Object.assign(this.mount.dataset, {
      state, updates: this.figures.frames.length, label: this.label.textContent, samples: this.ring ? this.ring.n : 0,
      activations: this.talk.activations, spoken: this.talk.speech.spoken, latencyP50: this.figures.latencyP50,
    });
  }

  // Show what is decided now, and nothing that was decided before the stream or the decisions stopped.
  showLabel(now, state) {
    const message = this.shown && this.shown.message, { data } = this;
    const current = Boolean(message) && state === "live" && now - this.decidedAt < DECIDED_FOR_MS;
    const label = current ? message.label : null;
    this.now.style.setProperty("--g", label ? data.gesture_colours[label] || "#7f7f7f" : "#c3ccd3");
    this.now.classList.toggle("unsure", label === null);
    this.pictures.show(label);
    if (!current) {
      if (this.wasCurrent) this.talk.lose();
      this.bars.clear();
      write(this.label, "—");
      write(this.detail, !data.has_model ? "No model yet: train one to see gestures here"
        : state === "live" ? "Waiting for decisions" : "No stream, no decisions");
    } else {
      write(this.label, label === null ? "unsure" : label);
      write(this.detail, `${Math.round(100 * message.confidence)} % confident · model version ${message.model_version}`);
      if (message.probabilities) {
        this.bars.show(shownNames(data.gestures, message.probabilities), message.probabilities, message.needed, label,
          data.gesture_colours);
      }
    }
    this.wasCurrent = current;
    return current;
  }

  // The picture in words, for those who cannot see it; rarely, because a reader reads it whole.
  sumUp(now, state) {
    if (this.summedAt && now - this.summedAt < SUMMED_UP_EVERY_MS && state === this.summedState) return;
    this.summedAt = now;
    this.summedState = state;
    const strongest = state === "live" ? this.chart.strongest() : null;
    const said = [`Signals of ${this.data.channels.length} channels, ${state}`];
    if (strongest !== null) said.push(`${strongest} moves most in the last ${this.chart.seconds} s`);
    if (state === "live" && this.wasCurrent) said.push(`gesture: ${this.label.textContent}`);
    this.canvas.setAttribute("aria-label", said.join("; "));
  }

  draw() {
    if (!this.data || !this.ring || (!this.fresh && !this.dirty)) return;
    if (!this.paused || !this.edgeMs) this.edgeMs = this.latestMs;
    if (!this.chart.draw(this.ring, this.decisions, this.edgeMs, this.data)) return;
    if (this.fresh) this.figures.frames.push(performance.now());
    this.fresh = this.dirty = false;
  }

  dispose() {
    document.removeEventListener("semg-key", this.onKey);
    clearInterval(this.ticker);
    cancelAnimationFrame(this.frameRequest);
    this.resizer.disconnect();
    this.talk.dispose();
    this.feed.dispose();
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const view = partIn(parentElement.querySelector(".semg-live"), (mount) => new LiveView(mount));
  view.update(data, () => setTriggerValue("refused", Date.now()), (sent) => setTriggerValue("taught", sent));
  return () => view.disposeSoon();
}

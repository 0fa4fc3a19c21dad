// Rates and latencies, behind a title that is closed until somebody opens it; this browser remembers that.

import { remember, remembered } from "./aac_settings.js";
import { el, quantile, write } from "./parts.js";

const LATENCIES_KEPT = 200;
const OPEN = "semg-live-details";
const TITLES = [["state", "Stream"], ["rate", "Samples/s"], ["latency", "Decision latency p50 / p95"],
  ["arrival", "Latency on screen p50 / p95"], ["updates", "Updates/s"]];
const WORDS = { live: "● live", waiting: "○ waiting", stopped: "■ stopped", connecting: "○ connecting",
  offline: "■ no API", refused: "■ refused", gone: "■ gone" };

export class Figures {
  constructor() {
    this.box = el("details", "details");
    this.box.open = remembered(OPEN) === true;
    this.box.ontoggle = () => remember(OPEN, this.box.open);
    const figures = el("div", "figures");
    this.figure = {};
    for (const [key, title] of TITLES) {
      const box = el("div", "figure");
      this.figure[key] = el("b", "", "—");
      box.append(el("span", "", title), this.figure[key]);
      figures.append(box);
    }
    this.box.append(el("summary", "", "Details"), figures);
    this.frames = [];
    this.rateCount = [];
    this.dropped = 0;
    this.clear();
  }

  clear() {
    this.serverLatency = [];
    this.arrivalLatency = [];
    this.latencyP50 = "";
  }

  count(now, samples) { this.rateCount.push([now, samples]); }

  decided(message) {
    const add = (list, value) => { list.push(value); if (list.length > LATENCIES_KEPT) list.shift(); };
    const receivedMs = Date.parse(message.received_at);
    add(this.serverLatency, Date.parse(message.decided_at) - receivedMs);
    add(this.arrivalLatency, Date.now() - receivedMs);
  }

  show(now, state) {
    while (this.rateCount.length && now - this.rateCount[0][0] > 2000) this.rateCount.shift();
    while (this.frames.length && now - this.frames[0] > 1000) this.frames.shift();
    const samples = this.rateCount.reduce((sum, [, n]) => sum + n, 0);
    const age = this.rateCount.length ? Math.max(500, now - this.rateCount[0][0]) / 1000 : 1;
    const live = state === "live", decided = this.serverLatency.length > 0 && live;
    write(this.figure.state, WORDS[state] + (this.dropped ? ` (${this.dropped} skipped)` : ""));
    this.figure.state.dataset.state = state;
    write(this.figure.rate, live ? String(Math.round(samples / age)) : "—");
    write(this.figure.updates, live ? String(this.frames.length) : "—");
    const pair = (list) => `${Math.round(quantile(list, 0.5))} / ${Math.round(quantile(list, 0.95))} ms`;
    write(this.figure.latency, decided ? pair(this.serverLatency) : "—");
    // The browser's clock may differ from the server's; a figure that cannot be true is not shown.
    const median = quantile(this.arrivalLatency, 0.5);
    const clocksAgree = median >= quantile(this.serverLatency, 0.5) - 5 && median < 2000;
    write(this.figure.arrival, !decided ? "—" : clocksAgree ? pair(this.arrivalLatency) : "clocks differ");
    this.latencyP50 = decided ? quantile(this.serverLatency, 0.5) : "";
  }
}

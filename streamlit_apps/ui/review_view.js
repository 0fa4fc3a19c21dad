// A recorded time as lanes, with labels behind, decisions below, gaps and late samples marked, and a cursor that a
// video follows. What is shown is decimated on the server; another time is asked for by a trigger, and drawn then.
import { Kept, partIn } from "./kept.js";

const LEFT = 52, TOP = 18, RIBBON = 26, AXIS = 16, EDGE_PX = 6, LEAST_MS = 200;
const BAD = "#b3261e", INK = "#14202a", QUIET = "#5f6f7c";

const el = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const floats = (text) => {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Float32Array(bytes.buffer);
};

class Review extends Kept {
  constructor(mount) {
    super();
    this.mount = mount;
    mount.tabIndex = 0;
    mount.setAttribute("role", "group");
    mount.replaceChildren();
    this.bar = el("div", "bar");
    this.buttons = {};
    for (const [name, text, title, act] of [
      ["back", "◀", "Earlier", () => this.pan(-0.5)],
      ["on", "▶", "Later", () => this.pan(0.5)],
      ["closer", "+", "Zoom in", () => this.zoom(0.5)],
      ["wider", "−", "Zoom out", () => this.zoom(2)],
      ["whole", "All", "The whole recording", () => this.ask(this.data.whole_since_ms, this.data.whole_until_ms)],
    ]) {
      const button = el("button", name, text);
      button.dataset.title = title;
      button.onclick = act;
      this.buttons[name] = button;
      this.bar.append(button);
    }
    this.shown = el("span", "shown");
    this.bar.append(this.shown);
    this.stage = el("div", "stage");
    this.canvas = el("canvas");
    this.canvas.setAttribute("role", "img");
    this.stage.append(this.canvas);
    this.strip = el("div", "stage strip");
    this.small = el("canvas");
    this.small.setAttribute("role", "img");
    this.small.setAttribute("aria-label", "The whole recording, with the time that is shown framed");
    this.strip.append(this.small);
    this.hint = el("div", "hint");
    mount.append(this.bar, this.stage, this.strip, this.hint);
    this.canvas.onpointerdown = (event) => this.press(event);
    this.canvas.onpointermove = (event) => this.hover(event);
    this.small.onpointerdown = (event) => this.grab(event);
    this.onKey = (event) => this.key(event);
    document.addEventListener("semg-key", this.onKey);
    this.resizer = new ResizeObserver(() => this.draw());
    this.resizer.observe(this.canvas);
    this.onVideo = (event) => {
      if (!this.data || event.detail.session_id !== this.data.session_id) return;
      this.cursorMs = event.detail.at_us / 1000;
      this.playing = event.detail.playing;
      this.draw();
    };
    document.addEventListener("semg-video-time", this.onVideo);
  }

  update(data, send) {
    this.send = send;
    this.data = data;
    this.values = floats(data.values);
    this.drag = null;
    this.asked = null;
    this.stage.style.height = `${data.height}px`;
    this.strip.style.display = data.whole_until_ms > data.whole_since_ms ? "" : "none";
    const choosing = data.choosable ? " · click a label to select it" : "";
    const moving = data.editable ? " · drag an edge of the selected label to move it" : "";
    for (const [name, button] of Object.entries(this.buttons)) {
      const key = data.keys[name];
      button.title = button.dataset.title + (key ? ` (key ${key})` : "");
      button.setAttribute("aria-label", button.dataset.title);
    }
    const { since_ms: since, until_ms: until } = data;
    this.mount.setAttribute("aria-label", "Recorded signals");
    this.canvas.setAttribute("aria-label", `Signals of ${data.channels.length} channels from ${this.clock(since, false)} to ` +
      `${this.clock(until, false)}, ${data.labels.length} labels, ${data.gaps.length} gaps`);
    this.hint.textContent = `Drag over the signal to zoom in · click to set the cursor${choosing}${moving}`;
    this.draw();
  }

  // geometry

  x(ms) {
    const { since_ms: since, until_ms: until } = this.data;
    return LEFT + (ms - since) / (until - since) * (this.width - LEFT - 6);
  }

  ms(x) {
    const { since_ms: since, until_ms: until } = this.data;
    return since + (x - LEFT) / (this.width - LEFT - 6) * (until - since);
  }

  // asking for another time

  ask(sinceMs, untilMs) {
    const { whole_since_ms: first, whole_until_ms: last } = this.data;
    const length = Math.max(LEAST_MS, Math.min(untilMs - sinceMs, last - first));
    const since = Math.max(first, Math.min(sinceMs, last - length));
    this.asked = { since_ms: since, until_ms: since + length };
    this.send("range", this.asked);
    this.draw();
  }

  pan(part) {
    const length = this.data.until_ms - this.data.since_ms;
    this.ask(this.data.since_ms + part * length, this.data.until_ms + part * length);
  }

  zoom(factor) {
    const { since_ms: since, until_ms: until } = this.data;
    const inside = this.cursorMs >= since && this.cursorMs <= until;
    const middle = inside ? this.cursorMs : (since + until) / 2;
    this.ask(middle - (middle - since) * factor, middle + (until - middle) * factor);
  }

  // A key of the account, while the picture or one of its buttons has the focus.
  key(event) {
    const acts = {
      "review.back": () => this.pan(-0.5), "review.on": () => this.pan(0.5), "review.closer": () => this.zoom(0.5),
      "review.wider": () => this.zoom(2), "review.whole": () => this.buttons.whole.click(),
      "review.cursor_back": () => this.step(-1), "review.cursor_on": () => this.step(1),
    };
    const act = acts[event.detail.action];
    if (!act || !this.data || !event.detail.path.includes(this.mount)) return;
    event.preventDefault();
    act();
  }

  // Moves the cursor by a fiftieth of what is shown, as a click there would.
  step(way) {
    const { since_ms: since, until_ms: until } = this.data;
    const inside = this.cursorMs >= since && this.cursorMs <= until;
    const from = inside ? this.cursorMs : way > 0 ? since : until;
    this.click(Math.max(since, Math.min(until - 1, from + way * (until - since) / 50)));
    this.draw();
  }

  // pointer

  chosen() { return this.data.labels.find((label) => label.id === this.data.chosen_id); }

  edgeAt(x) {
    const label = this.data.editable ? this.chosen() : null;
    if (!label) return null;
    if (Math.abs(this.x(label.begin_ms) - x) <= EDGE_PX) return "begin";
    if (Math.abs(this.x(label.end_ms) - x) <= EDGE_PX) return "end";
    return null;
  }

  hover(event) {
    if (this.drag) return;
    this.canvas.style.cursor = this.edgeAt(event.offsetX) ? "ew-resize" : "crosshair";
  }

  press(event) {
    if (event.button !== 0 || event.offsetX < LEFT) return;
    this.canvas.setPointerCapture(event.pointerId);
    const edge = this.edgeAt(event.offsetX);
    this.drag = { from: event.offsetX, to: event.offsetX, edge };
    this.canvas.onpointermove = (moved) => {
      this.drag.to = Math.max(LEFT, Math.min(moved.offsetX, this.width - 6));
      this.draw();
    };
    this.canvas.onpointerup = (up) => {
      this.canvas.onpointermove = (moved) => this.hover(moved);
      this.canvas.onpointerup = null;
      const { from, to } = this.drag;
      this.drag = null;
      if (edge) this.moved(edge, this.ms(to));
      else if (Math.abs(to - from) > 8) this.ask(this.ms(Math.min(from, to)), this.ms(Math.max(from, to)));
      else this.click(this.ms(up.offsetX));
      this.draw();
    };
  }

  moved(edge, atMs) {
    const label = this.chosen();
    const begin = edge === "begin" ? Math.min(atMs, label.end_ms - LEAST_MS) : label.begin_ms;
    const end = edge === "end" ? Math.max(atMs, label.begin_ms + LEAST_MS) : label.end_ms;
    this.send("moved", { id: label.id, begin_ms: begin, end_ms: end });
  }

  click(atMs) {
    this.cursorMs = atMs;
    document.dispatchEvent(new CustomEvent("semg-video-seek", {
      detail: { session_id: this.data.session_id, at_us: Math.round(atMs * 1000) },
    }));
    const label = this.data.labels.find((one) => one.begin_ms <= atMs && atMs < one.end_ms);
    if (this.data.choosable && label && label.id !== this.data.chosen_id) this.send("chosen", { id: label.id });
  }

  grab(event) {
    const { whole_since_ms: first, whole_until_ms: last, since_ms: since, until_ms: until } = this.data;
    const at = first + event.offsetX / this.small.clientWidth * (last - first);
    this.ask(at - (until - since) / 2, at + (until - since) / 2);
  }

  // drawing

  fit(canvas) {
    const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return null;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return context;
  }

  colour(gesture) { return this.data.gesture_colours[gesture] || "#7f7f7f"; }

  clock(ms, exact) {
    const at = new Date(ms + this.data.zone_ms);
    const text = at.toISOString().slice(11, exact ? 23 : 19);
    return text;
  }

  draw() {
    if (!this.data) return;
    const context = this.fit(this.canvas);
    if (!context) return;
    this.width = this.canvas.clientWidth;
    const { decisions, replayed } = this.data;
    const height = this.canvas.clientHeight, bottom = height - AXIS - (replayed ? 2 : 1) * RIBBON;
    this.labels(context, bottom);
    this.lanes(context, bottom);
    this.gaps(context, bottom);
    this.ribbon(context, bottom + 3, RIBBON - 6, "decided", decisions);
    if (replayed) this.ribbon(context, bottom + RIBBON + 3, RIBBON - 6, "replay", replayed);
    this.axis(context, height);
    this.over(context, bottom);
    this.overview();
    const length = (this.data.until_ms - this.data.since_ms) / 1000;
    const whole = this.data.until_ms - this.data.since_ms >= this.data.whole_until_ms - this.data.whole_since_ms - 1;
    this.buttons.whole.disabled = this.buttons.wider.disabled = whole;
    this.buttons.back.disabled = this.data.since_ms <= this.data.whole_since_ms;
    this.buttons.on.disabled = this.data.until_ms >= this.data.whole_until_ms;
    const cursor = this.cursorMs ? ` · cursor ${this.clock(this.cursorMs, true)}` : "";
    const lengthText = length < 120 ? `${length.toFixed(length < 10 ? 2 : 0)} s` : `${(length / 60).toFixed(1)} min`;
    this.shown.textContent = this.asked ? "reading …" : `${lengthText} shown${cursor}`;
    Object.assign(this.mount.dataset, {
      points: this.data.times_ms.length, sinceMs: this.data.since_ms, untilMs: this.data.until_ms,
      cursorMs: this.cursorMs || "", gaps: this.data.gaps.length, labels: this.data.labels.length,
      replayed: replayed ? replayed.length : "",
    });
  }

  band(context, begin, end, top, height) {
    const from = Math.max(LEFT, this.x(begin)), to = Math.min(this.width - 6, this.x(end));
    if (to <= from) return 0;
    context.fillRect(from, top, to - from, height);
    return to - from;
  }

  labels(context, bottom) {
    context.textBaseline = "alphabetic";
    for (const label of this.data.labels) {
      context.globalAlpha = label.excluded ? 0.1 : 0.28;
      context.fillStyle = this.colour(label.gesture);
      const width = this.band(context, label.begin_ms, label.end_ms, TOP, bottom - TOP);
      context.globalAlpha = 1;
      if (!width) continue;
      const from = Math.max(LEFT, this.x(label.begin_ms));
      if (label.id === this.data.chosen_id) {
        context.strokeStyle = INK;
        context.lineWidth = 2;
        context.strokeRect(from + 1, TOP + 1, width - 2, bottom - TOP - 2);
      }
      context.font = "11px sans-serif";
      context.textAlign = "left";
      const text = [`${label.gesture} ${label.number}`, label.gesture]
        .find((one) => context.measureText(one).width + 4 < width);
      if (!text) continue;
      context.fillStyle = label.excluded ? QUIET : INK;
      context.fillText(text, from + 2, TOP - 5);
      if (label.excluded) context.fillRect(from + 2, TOP - 9, context.measureText(text).width, 1);
    }
  }

  lanes(context, bottom) {
    const { channels, times_ms: times, channel_colours: colours } = this.data;
    const lane = (bottom - TOP) / channels.length, n = channels.length;
    channels.forEach((name, c) => {
      const middle = TOP + (c + 0.5) * lane;
      let low = Infinity, high = -Infinity;
      for (let i = c; i < this.values.length; i += n) {
        const value = this.values[i];
        if (value < low) low = value;
        if (value > high) high = value;
      }
      const centre = (low + high) / 2, half = Math.max((high - low) / 2, 1e-9);
      context.strokeStyle = "#eef1f4";
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(LEFT, Math.round(TOP + (c + 1) * lane) + 0.5);
      context.lineTo(this.width, Math.round(TOP + (c + 1) * lane) + 0.5);
      context.stroke();
      context.fillStyle = INK;
      context.font = "600 12px sans-serif";
      context.textAlign = "right";
      context.fillText(name.slice(0, 7), LEFT - 6, middle + 4);
      context.strokeStyle = colours[c % colours.length];
      context.beginPath();
      let pen = false;
      for (let i = 0; i < times.length; i++) {
        const value = this.values[i * n + c];
        if (Number.isNaN(value)) { pen = false; continue; }
        const y = middle - (value - centre) / half * lane * 0.45;
        if (pen) context.lineTo(this.x(times[i]), y); else context.moveTo(this.x(times[i]), y);
        pen = true;
      }
      context.stroke();
    });
  }

  gaps(context, bottom) {
    context.fillStyle = BAD;
    for (const [begin, end] of this.data.gaps) {
      context.globalAlpha = 0.3;
      this.band(context, begin, end, TOP, bottom - TOP);
      context.globalAlpha = 1;
      const at = this.x((begin + end) / 2);
      if (at > LEFT && at < this.width - 6) context.fillRect(Math.round(at) - 1, TOP, 2, 7);
    }
    context.font = "600 11px sans-serif";
    context.textAlign = "center";
    for (const at of this.data.late_ms) if (this.x(at) > LEFT) context.fillText("×", this.x(at), bottom - 2);
  }

  ribbon(context, top, height, name, runs) {
    context.fillStyle = "#f4f6f8";
    context.fillRect(LEFT, top, this.width - LEFT - 6, height);
    context.font = "11px sans-serif";
    context.textAlign = "right";
    context.fillStyle = QUIET;
    context.fillText(name, LEFT - 6, top + height / 2 + 4);
    context.textAlign = "center";
    for (const [label, begin, end] of runs) {
      context.fillStyle = label === null ? "#e3e8ec" : this.colour(label);
      const width = this.band(context, begin, end, top, height), text = label === null ? "unsure" : label;
      if (width < context.measureText(text).width + 6) continue;
      context.fillStyle = label === null ? INK : this.data.gesture_inks[label] || "#000000";
      context.fillText(text, Math.max(LEFT, this.x(begin)) + width / 2, top + height / 2 + 4);
    }
  }

  axis(context, height) {
    const { since_ms: since, until_ms: until } = this.data;
    const steps = [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, 72e5, 216e5];
    const step = steps.find((one) => (until - since) / one <= this.width / 110) || steps.at(-1);
    context.font = "11px sans-serif";
    context.textAlign = "center";
    context.fillStyle = QUIET;
    const { zone_ms: zone } = this.data;
    for (let at = Math.ceil((since + zone) / step) * step - zone; at <= until; at += step) {
      const x = this.x(at);
      if (x < LEFT + 20 || x > this.width - 30) continue;
      context.fillText(this.clock(at, false) + (step < 1000 ? `.${Math.floor(((at % 1000) + 1000) % 1000 / 100)}` : ""),
        x, height - 4);
      context.fillRect(Math.round(x), height - AXIS, 1, 3);
    }
  }

  over(context, bottom) {
    if (this.drag && !this.drag.edge) {
      context.fillStyle = "rgb(11 110 143 / 18%)";
      context.fillRect(Math.min(this.drag.from, this.drag.to), TOP, Math.abs(this.drag.to - this.drag.from), bottom - TOP);
    } else if (this.drag) {
      context.fillStyle = INK;
      context.fillRect(this.drag.to - 1, TOP, 2, bottom - TOP);
    }
    const at = this.cursorMs ? this.x(this.cursorMs) : -1;
    if (at >= LEFT && at <= this.width - 6) {
      context.fillStyle = "#0b6e8f";
      context.fillRect(at - 0.75, TOP - 4, 1.5, bottom - TOP + 4);
    }
  }

  overview() {
    const context = this.fit(this.small);
    if (!context) return;
    const width = this.small.clientWidth, height = this.small.clientHeight;
    const { whole_since_ms: first, whole_until_ms: last } = this.data;
    const x = (ms) => (ms - first) / (last - first) * width;
    for (const label of this.data.all_labels) {
      context.fillStyle = this.colour(label[0]);
      context.globalAlpha = 0.7;
      context.fillRect(x(label[1]), 6, Math.max(1, x(label[2]) - x(label[1])), height - 12);
    }
    context.globalAlpha = 1;
    const shown = this.asked || this.data;
    context.strokeStyle = "#0b6e8f";
    context.lineWidth = 2;
    context.fillStyle = "rgb(11 110 143 / 12%)";
    const from = x(shown.since_ms), to = Math.max(from + 4, x(shown.until_ms));
    context.fillRect(from, 1, to - from, height - 2);
    context.strokeRect(from + 1, 2, Math.max(2, to - from - 2), height - 4);
  }

  dispose() {
    this.resizer.disconnect();
    document.removeEventListener("semg-video-time", this.onVideo);
    document.removeEventListener("semg-key", this.onKey);
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const review = partIn(parentElement.querySelector(".semg-review"), (mount) => new Review(mount));
  review.update(data, setTriggerValue);
  return () => review.disposeSoon();
}

// Draws a profile's live stream on a canvas: one lane a channel, decisions below on the same time axis.
// Streamlit runs the default export again at every rerun; the view and its WebSocket live on through it.

const STOPPED_AFTER_MS = 700;   // said within 1 s, together with the 100 ms tick
const DISPOSE_AFTER_MS = 500;   // a rerun cleans up and comes back at once; a page change does not come back
const BACKOFF_MS = [300, 600, 1200, 2500, 5000];
const KEPT_S = 12;
const LATENCIES_KEPT = 200;
const REARM_MS = 300;           // so much rest ends an activation: a flicker does not speak twice
const DRAW_EVERY_MS = 25;       // every second frame of a 60 Hz screen: nobody sees more, and it costs half

const el = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const quantile = (values, q) => {
  if (!values.length) return NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
};

class Ring {
  constructor(channels, rateHz) {
    this.capacity = Math.ceil(Math.max(rateHz, 50) * KEPT_S * 1.2);
    this.channels = channels;
    this.times = new Float64Array(this.capacity);
    this.starts = new Uint8Array(this.capacity);
    this.values = channels.map(() => new Float32Array(this.capacity));
    this.n = 0;  // samples ever written
  }
  push(timeMs, row, starts) {
    const at = this.n % this.capacity;
    this.times[at] = timeMs;
    this.starts[at] = starts ? 1 : 0;
    for (let c = 0; c < this.values.length; c++) this.values[c][at] = row[c];
    this.n += 1;
  }
  first(fromMs) {  // index of the first kept sample at or after a time
    let low = Math.max(0, this.n - this.capacity), high = this.n;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.times[middle % this.capacity] < fromMs) low = middle + 1; else high = middle;
    }
    return low;
  }
}

class LiveView {
  constructor(mount) {
    this.mount = mount;
    this.decisions = [];
    this.serverLatency = [];
    this.arrivalLatency = [];
    this.frames = [];
    this.hidden = new Set();
    this.paused = false;
    this.scale = "auto";
    this.seconds = 5;
    this.tries = 0;
    this.refusals = 0;
    this.arrivedAt = 0;
    this.decidedAt = 0;
    this.rateCount = [];
    this.dropped = 0;
    this.dirty = true;
    this.latestMs = 0;
    this.drawnAt = 0;
    this.activation = null;
    this.restSince = 0;
    this.activations = 0;
    this.spoken = 0;
    this.speaks = false;
    this.build();
    this.onKey = (event) => {
      if (this.data?.compact) return;
      if (event.detail.action === "live.pause") this.togglePause();
      else if (event.detail.action === "live.speak") this.toggleSpeech();
    };
    document.addEventListener("semg-key", this.onKey);
    this.onVoices = () => this.showSpeech();
    window.speechSynthesis?.addEventListener("voiceschanged", this.onVoices);
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
    const top = el("div", "top");
    this.now = el("div", "now");
    this.label = el("div", "label", "…");
    this.label.setAttribute("aria-live", "polite");
    this.meter = el("i");
    const meter = el("div", "meter");
    meter.append(this.meter);
    this.detail = el("div", "detail", "");
    this.now.append(this.label, meter, this.detail);
    this.figures = el("div", "figures");
    this.figure = {};
    for (const [key, title] of [["state", "Stream"], ["rate", "Samples/s"], ["latency", "Decision latency p50 / p95"],
      ["arrival", "Latency on screen p50 / p95"], ["updates", "Updates/s"]]) {
      const box = el("div", "figure");
      this.figure[key] = el("b", "", "—");
      box.append(el("span", "", title), this.figure[key]);
      this.figures.append(box);
    }
    top.append(this.now, this.figures);
    this.phrase = el("div", "phrase");
    this.phrase.setAttribute("aria-live", "assertive");
    this.stage = el("div", "stage");
    this.canvas = el("canvas");
    this.canvas.setAttribute("role", "img");
    this.notice = el("div", "notice");
    this.stage.append(this.canvas, this.notice);
    this.controls = el("div", "controls");
    this.said = el("div", "said");  // the state in a word when it changes: the notice counts seconds
    this.said.setAttribute("role", "status");
    this.mount.append(top, this.phrase, this.stage, this.controls, this.said);
    this.top = top;
  }

  buildControls() {
    const signature = JSON.stringify([this.data.channels, this.data.compact, this.data.phrases, this.data.keys]);
    if (signature === this.controlsFor) return;
    this.controlsFor = signature;
    this.controls.replaceChildren();
    if (this.data.compact) return;
    this.pauseButton = el("button", "pause", this.paused ? "Resume" : "Pause");
    if (this.data.keys.pause) this.pauseButton.title = `Key ${this.data.keys.pause}`;
    this.pauseButton.onclick = () => this.togglePause();
    this.controls.append(this.pauseButton);
    this.speechButton = null;
    if (Object.keys(this.data.phrases).length) {
      this.speechButton = el("button", "speech");
      this.speechButton.onclick = () => this.toggleSpeech();
      this.controls.append(this.speechButton);
      this.showSpeech();
    }
    this.controls.append(this.choice("Scale", [["auto", "each channel"], ["common", "same for all"], ["full", "full range"]],
      this.scale, (value) => { this.scale = value; this.dirty = true; }));
    this.controls.append(this.choice("Span", [["2", "2 s"], ["5", "5 s"], ["10", "10 s"]],
      String(this.seconds), (value) => { this.seconds = Number(value); this.dirty = true; }));
    const chips = el("div", "chips");
    chips.setAttribute("role", "group");
    chips.setAttribute("aria-label", "Channels shown");
    this.data.channels.forEach((name, index) => {
      const chip = el("button", "chip", name);
      chip.style.setProperty("--c", this.data.channel_colours[index]);
      chip.title = `Show or hide ${name}`;
      const state = () => {
        chip.classList.toggle("off", this.hidden.has(name));
        chip.setAttribute("aria-pressed", String(!this.hidden.has(name)));
      };
      state();
      chip.onclick = () => {
        if (this.hidden.has(name)) this.hidden.delete(name); else this.hidden.add(name);
        state();
        this.dirty = true;
      };
      chips.append(chip);
    });
    this.controls.append(chips);
  }

  togglePause() {
    this.paused = !this.paused;
    this.pauseButton.textContent = this.paused ? "Resume" : "Pause";
    this.pauseButton.classList.toggle("on", this.paused);
    this.dirty = true;
  }

  // Only voices of this device: those of a remote service would be sent the phrase.
  voice() {
    const voices = (window.speechSynthesis?.getVoices() || []).filter((voice) => voice.localService);
    const language = (navigator.language || "").slice(0, 2);
    return voices.find((voice) => voice.lang.startsWith(language)) || voices[0] || null;
  }

  showSpeech() {
    if (!this.speechButton) return;
    const able = this.voice() !== null;
    if (!able) this.speaks = false;
    this.speechButton.disabled = !able;
    this.speechButton.textContent = !able ? "No voice on this device" : this.speaks ? "Speaking: on" : "Speak phrases";
    const key = this.data.keys.speak ? ` Key ${this.data.keys.speak}` : "";
    this.speechButton.title = `Speaks each phrase once, with a voice installed on this device; nothing is sent anywhere.${key}`;
    this.speechButton.classList.toggle("on", this.speaks);
  }

  toggleSpeech() {
    if (!this.speechButton || this.speechButton.disabled) return;
    this.speaks = !this.speaks;
    if (!this.speaks) window.speechSynthesis.cancel();
    this.showSpeech();
  }

  // An activation begins with another gesture than the last one's, or with the same after rest.
  activate(label, now) {
    if (label === "rest") {
      if (!this.restSince) this.restSince = now;
      if (now - this.restSince > REARM_MS) {
        this.activation = null;
        this.phrase.classList.add("past");
      }
      return;
    }
    if (label === null) return;
    this.restSince = 0;
    if (label === this.activation) return;
    this.activation = label;
    this.activations += 1;
    const phrase = this.data.phrases[label];
    this.phrase.classList.toggle("past", !phrase);
    if (!phrase) return;
    this.phrase.textContent = phrase;
    this.phrase.style.setProperty("--g", this.data.gesture_colours[label] || "#7f7f7f");
    if (!this.speaks) return;
    const voice = this.voice();
    if (voice === null) return;
    const utterance = new SpeechSynthesisUtterance(phrase);
    utterance.voice = voice;
    utterance.lang = voice.lang;
    window.speechSynthesis.cancel();
    window.speechSynthesis.speak(utterance);
    this.spoken += 1;
  }

  choice(title, options, chosen, onChange) {
    const box = el("label", "choice", title);
    const select = el("select");
    for (const [value, text] of options) {
      const option = el("option", "", text);
      option.value = value;
      option.selected = value === chosen;
      select.append(option);
    }
    select.onchange = () => onChange(select.value);
    box.append(select);
    return box;
  }

  update(data, onRefused) {
    const before = this.data;
    this.data = data;
    this.onRefused = onRefused;
    this.mount.classList.toggle("compact", Boolean(data.compact));
    this.stage.style.height = `${data.height}px`;
    this.buildControls();
    this.phrase.classList.toggle("used", !data.compact && Object.keys(data.phrases).length > 0);
    const other = !before || before.url !== data.url;
    if (other || before.channels.join() !== data.channels.join() || before.rate_hz !== data.rate_hz) {
      this.ring = new Ring(data.channels, data.rate_hz);
      this.decisions = [];
    }
    if (other) {
      this.arrivedAt = this.decidedAt = this.latestMs = 0;
      this.activation = this.last = null;
      this.phrase.textContent = "";
      this.serverLatency = [];
      this.arrivalLatency = [];
      this.connect();
    } else if (this.waitsForToken && before.token !== data.token) {
      this.waitsForToken = false;
      this.connect();
    }
    this.dirty = true;
  }

  connect() {
    clearTimeout(this.retry);
    this.close();
    this.connection = "connecting";
    let socket;
    try {
      socket = new WebSocket(this.data.url, ["semg.v1", `semg.token.${this.data.token}`]);
    } catch (error) {
      this.connection = "offline";
      return this.later();
    }
    this.socket = socket;
    socket.onopen = () => { if (socket === this.socket) this.connection = "open"; };
    socket.onmessage = (event) => { if (socket === this.socket) this.receive(JSON.parse(event.data)); };
    socket.onclose = (event) => {
      if (socket !== this.socket) return;
      this.socket = null;
      if (event.code === 4404) { this.connection = "gone"; return; }
      if (event.code === 4401) {
        this.connection = "refused";
        this.refusals += 1;
        this.retry = setTimeout(() => { this.waitsForToken = true; this.onRefused(); }, this.backoff(this.refusals - 1));
        return;
      }
      this.connection = "offline";
      this.later();
    };
  }

  backoff(n) { return BACKOFF_MS[Math.min(n, BACKOFF_MS.length - 1)]; }

  later() {
    this.retry = setTimeout(() => this.connect(), this.backoff(this.tries));
    this.tries += 1;
  }

  close() {
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }

  receive(message) {
    this.tries = 0;
    this.refusals = 0;
    const now = performance.now();
    if (message.type === "samples") {
      this.arrivedAt = now;
      this.rateCount.push([now, message.values.length]);
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
      const decidedMs = Date.parse(message.decided_at);
      const add = (list, value) => { list.push(value); if (list.length > LATENCIES_KEPT) list.shift(); };
      add(this.serverLatency, decidedMs - Date.parse(message.received_at));
      add(this.arrivalLatency, Date.now() - Date.parse(message.received_at));
      this.last = message;
      this.activate(message.label, now);
      if (!this.paused) {
        this.decisions.push({ at: Date.parse(message.window_end_at), label: message.label, confidence: message.confidence });
        const from = this.latestMs - KEPT_S * 1000;
        while (this.decisions.length && this.decisions[0].at < from) this.decisions.shift();
      }
      this.fresh = true;
    } else if (message.type === "dropped") {
      this.dropped += message.messages;
    }
  }

  state(now) {
    if (this.connection === "open") {
      if (!this.arrivedAt) return "waiting";
      return now - this.arrivedAt > STOPPED_AFTER_MS ? "stopped" : "live";
    }
    return this.connection || "connecting";
  }

  tick() {
    if (!this.data) return;
    const now = performance.now();
    const state = this.state(now);
    const since = Math.max(1, Math.round((now - this.arrivedAt) / 1000));
    const notices = {
      live: "",
      connecting: "Connecting to the live stream …",
      waiting: "No samples yet. Switch the sensor on; it should send to this machine's UDP port.",
      stopped: `The stream stopped ${since} s ago. Check the sensor's power and its Wi-Fi.`,
      offline: `The API at ${this.data.url.replace(/\/ws\/.*/, "")} cannot be reached. Trying again …`,
      refused: this.refusals > 2
        ? "The API refuses this page. Open the app at the address set in PUBLIC_APP_URL."
        : "Renewing access to the live stream …",
      gone: "This profile was deleted.",
    };
    if (this.notice.textContent !== notices[state]) this.notice.textContent = notices[state];
    const name = `Signals of ${this.data.channels.length} channels over ${this.seconds} s${this.data.compact ? "" : ", decisions below"}: ${state}`;
    if (this.canvas.getAttribute("aria-label") !== name) this.canvas.setAttribute("aria-label", name);
    this.notice.className = `notice ${notices[state] ? "shown" : ""} ${state}`;
    while (this.rateCount.length && now - this.rateCount[0][0] > 2000) this.rateCount.shift();
    while (this.frames.length && now - this.frames[0] > 1000) this.frames.shift();
    const samples = this.rateCount.reduce((sum, [, n]) => sum + n, 0);
    const age = this.rateCount.length ? Math.max(500, now - this.rateCount[0][0]) / 1000 : 1;
    const words = { live: "● live", waiting: "○ waiting", stopped: "■ stopped", connecting: "○ connecting",
      offline: "■ no API", refused: "■ refused", gone: "■ gone" };
    this.figure.state.textContent = words[state] + (this.dropped ? ` (${this.dropped} skipped)` : "");
    this.figure.state.dataset.state = state;
    if (this.told !== state) this.said.textContent = `Stream: ${words[state].slice(2)}`;
    this.told = state;
    this.figure.rate.textContent = state === "live" ? Math.round(samples / age) : "—";
    this.figure.updates.textContent = state === "live" ? this.frames.length : "—";
    const pair = (list) => `${Math.round(quantile(list, 0.5))} / ${Math.round(quantile(list, 0.95))} ms`;
    const decided = this.serverLatency.length > 0 && state === "live";
    this.figure.latency.textContent = decided ? pair(this.serverLatency) : "—";
    // The browser's clock may differ from the server's; a figure that cannot be true is not shown.
    const median = quantile(this.arrivalLatency, 0.5);
    const clocksAgree = median >= quantile(this.serverLatency, 0.5) - 5 && median < 2000;
    this.figure.arrival.textContent = !decided ? "—" : clocksAgree ? pair(this.arrivalLatency) : "clocks differ";
    this.showLabel(now, state);
    Object.assign(this.mount.dataset, {
      state, updates: this.frames.length, label: this.label.textContent, samples: this.ring ? this.ring.n : 0,
      activations: this.activations, spoken: this.spoken,
      latencyP50: decided ? quantile(this.serverLatency, 0.5) : "",
    });
  }

  showLabel(now, state) {
    const message = this.last;
    const current = message && state === "live" && now - this.decidedAt < 1500;
    const colour = current && message.label ? this.data.gesture_colours[message.label] || "#7f7f7f" : "#c3ccd3";
    this.now.style.setProperty("--g", colour);
    this.now.classList.toggle("unsure", !current || message.label === null);
    if (current) {
      this.label.textContent = message.label === null ? "unsure" : message.label;
      this.detail.textContent = `${Math.round(100 * message.confidence)} % confident · model version ${message.model_version}`;
      this.meter.style.width = `${Math.round(100 * message.confidence)}%`;
    } else {
      this.label.textContent = "—";
      this.meter.style.width = "0";
      this.detail.textContent = !this.data.has_model ? "No model yet: train one to see gestures here"
        : state === "live" ? "Waiting for decisions" : "No stream, no decisions";
    }
  }

  draw() {
    if (!this.data || !this.ring) return;
    if (!this.fresh && !this.dirty) return;
    const startedAt = performance.now();
    if (startedAt - this.drawnAt < DRAW_EVERY_MS) return;
    this.drawnAt = startedAt;
    const fresh = this.fresh;
    this.fresh = this.dirty = false;
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (!width || !height) return;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (!this.paused || !this.edgeMs) this.edgeMs = this.latestMs;
    const left = 52, ribbon = this.data.compact ? 0 : 40, bottom = height - ribbon - 16;
    const span = this.seconds * 1000, from = this.edgeMs - span;
    const x = (ms) => left + (ms - from) / span * (width - left - 6);
    this.grid(context, left, width, bottom, x, from);
    this.lanes(context, left, width, bottom, x, from);
    if (ribbon) this.ribbon(context, left, width, height - ribbon, ribbon - 4, x, from);
    if (fresh) this.frames.push(performance.now());
  }

  grid(context, left, width, bottom, x, from) {
    context.strokeStyle = "#e6ebef";
    context.fillStyle = "#5f6f7c";
    context.font = "11px sans-serif";
    context.textAlign = "center";
    context.lineWidth = 1;
    for (let s = 0; s <= this.seconds; s++) {
      const at = Math.round(x(this.edgeMs - s * 1000)) + 0.5;
      context.beginPath();
      context.moveTo(at, 0);
      context.lineTo(at, bottom);
      context.stroke();
      if (s > 0) context.fillText(`−${s} s`, Math.max(at, left + 14), bottom + 12);
    }
  }

  lanes(context, left, width, bottom, x, from) {
    const { ring, data } = this;
    const shown = ring.channels.map((name, i) => i).filter((i) => !this.hidden.has(ring.channels[i]));
    if (!shown.length) return;
    const lane = bottom / shown.length, first = ring.first(from), last = ring.n;
    const ranges = shown.map((c) => this.range(c, first, last));
    const common = Math.max(...ranges.map((range) => range.half), 1e-9);
    shown.forEach((c, row) => {
      const middle = (row + 0.5) * lane;
      const centre = ranges[row].centre;
      const half = this.scale === "common" ? common : Math.max(ranges[row].half, 1e-9);
      const y = (value) => middle - Math.max(-1, Math.min(1, (value - centre) / half)) * lane * 0.46;
      context.strokeStyle = "#eef1f4";
      context.beginPath();
      context.moveTo(left, Math.round((row + 1) * lane) + 0.5);
      context.lineTo(width, Math.round((row + 1) * lane) + 0.5);
      context.stroke();
      context.fillStyle = "#14202a";
      context.font = "600 12px sans-serif";
      context.textAlign = "right";
      context.fillText(ring.channels[c].slice(0, 7), left - 8, middle + 4);
      context.strokeStyle = data.channel_colours[c % data.channel_colours.length];
      this.line(context, ring.values[c], first, last, x, y);
    });
  }

  range(c, first, last) {
    const { ring, data } = this;
    if (this.scale === "full") {
      return { centre: (data.adc_min + data.adc_max) / 2, half: (data.adc_max - data.adc_min) / 2 };
    }
    let low = Infinity, high = -Infinity;
    for (let i = first; i < last; i++) {
      const value = ring.values[c][i % ring.capacity];
      if (value < low) low = value;
      if (value > high) high = value;
    }
    if (!(low <= high)) return { centre: 0, half: 1 };
    // Noise of a resting muscle is not blown up to full height: a hundredth of the range is the least shown.
    const least = (data.adc_max - data.adc_min) / 100;
    return { centre: (low + high) / 2, half: Math.max((high - low) / 2, least) * 1.05 };
  }

  // Lowest and highest value of every pixel column: no peak is lost, and no more is drawn than can be seen.
  line(context, values, first, last, x, y) {
    const { ring } = this;
    context.lineWidth = 1.2;
    context.lineJoin = "round";
    context.beginPath();
    let column = null, low = 0, high = 0, pen = false;
    const flush = () => {
      if (column === null) return;
      if (pen) context.lineTo(column, y(low)); else context.moveTo(column, y(low));
      if (high !== low) context.lineTo(column, y(high));
      pen = true;
    };
    for (let i = first; i < last; i++) {
      const at = i % ring.capacity, value = values[at], here = Math.round(x(ring.times[at]));
      if (ring.starts[at]) { flush(); column = null; pen = false; }
      if (here !== column) { flush(); column = here; low = high = value; }
      else if (value < low) low = value;
      else if (value > high) high = value;
    }
    flush();
    context.stroke();
  }

  ribbon(context, left, width, top, height, x, from) {
    context.fillStyle = "#5f6f7c";
    context.font = "11px sans-serif";
    context.textAlign = "right";
    context.fillText("gesture", left - 8, top + height / 2 + 4);
    context.fillStyle = "#f4f6f8";
    context.fillRect(left, top, width - left - 6, height);
    const { decisions } = this;
    for (let i = 0; i < decisions.length;) {
      let end = i;
      while (end + 1 < decisions.length && decisions[end + 1].label === decisions[i].label
        && decisions[end + 1].at - decisions[end].at < 500) end += 1;
      const before = i > 0 && decisions[i].at - decisions[i - 1].at < 500 ? decisions[i - 1].at : decisions[i].at - 50;
      const x0 = Math.max(left, x(before)), x1 = Math.min(width - 6, x(decisions[end].at));
      if (x1 > x0) {
        const label = decisions[i].label;
        context.fillStyle = label === null ? "#e3e8ec" : this.data.gesture_colours[label] || "#7f7f7f";
        context.fillRect(x0, top, x1 - x0, height);
        const text = label === null ? "unsure" : label;
        context.font = "600 12px sans-serif";
        if (context.measureText(text).width + 8 < x1 - x0) {
          context.fillStyle = label === null ? "#14202a" : this.data.gesture_inks[label] || "#000000";
          context.textAlign = "center";
          context.fillText(text, (x0 + x1) / 2, top + height / 2 + 4);
        }
      }
      i = end + 1;
    }
  }

  keep() { clearTimeout(this.disposal); }

  disposeSoon() {
    clearTimeout(this.disposal);
    this.disposal = setTimeout(() => this.dispose(), DISPOSE_AFTER_MS);
  }

  dispose() {
    this.disposed = true;
    document.removeEventListener("semg-key", this.onKey);
    window.speechSynthesis?.removeEventListener("voiceschanged", this.onVoices);
    if (this.speaks) window.speechSynthesis.cancel();
    clearInterval(this.ticker);
    clearTimeout(this.retry);
    cancelAnimationFrame(this.frameRequest);
    this.resizer.disconnect();
    this.close();
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const mount = parentElement.querySelector(".semg-live");
  let view = mount.semgView;
  if (!view || view.disposed) view = mount.semgView = new LiveView(mount);
  view.keep();
  view.update(data, () => setTriggerValue("refused", Date.now()));
  return () => view.disposeSoon();
}

// Draws samples on a canvas: one lane a channel, the decisions below on the same time axis.

const DRAW_EVERY_MS = 25;  // every second frame of a 60 Hz screen: nobody sees more, and it costs half
const LEFT = 52, RIGHT = 6;
const TEXT = "#51606c";

export class Chart {
  constructor(canvas) {
    this.canvas = canvas;
    this.scale = "auto";
    this.seconds = 5;
    this.hidden = new Set();
    this.drawnAt = 0;
  }

  // Draw what there is until a time; true when something was drawn.
  draw(ring, decisions, edgeMs, data) {
    const startedAt = performance.now();
    if (startedAt - this.drawnAt < DRAW_EVERY_MS) return false;
    const ratio = window.devicePixelRatio || 1;
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight;
    if (!width || !height) return false;
    this.drawnAt = startedAt;
    Object.assign(this, { ring, data, edgeMs });
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    const ribbon = data.compact ? 0 : 40, bottom = height - ribbon - 16;
    const span = this.seconds * 1000, from = edgeMs - span;
    const x = (ms) => LEFT + (ms - from) / span * (width - LEFT - RIGHT);
    this.grid(context, width, bottom, x);
    this.lanes(context, width, bottom, x, from);
    if (ribbon) this.ribbon(context, width, height - ribbon, ribbon - 4, x, decisions);
    return true;
  }

  grid(context, width, bottom, x) {
    context.strokeStyle = "#e6ebef";
    context.fillStyle = TEXT;
    context.font = "11px sans-serif";
    context.textAlign = "center";
    context.lineWidth = 1;
    for (let s = 0; s <= this.seconds; s++) {
      const at = Math.round(x(this.edgeMs - s * 1000)) + 0.5;
      context.beginPath();
      context.moveTo(at, 0);
      context.lineTo(at, bottom);
      context.stroke();
      if (s > 0) context.fillText(`−${s} s`, Math.max(at, LEFT + 14), bottom + 12);
    }
  }

  lanes(context, width, bottom, x, from) {
    const { ring, data } = this;
    const shown = this.shown();
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
      context.moveTo(LEFT, Math.round((row + 1) * lane) + 0.5);
      context.lineTo(width, Math.round((row + 1) * lane) + 0.5);
      context.stroke();
      context.fillStyle = "#14202a";
      context.strokeStyle = data.channel_colours[c % data.channel_colours.length];
      context.font = "600 12px sans-serif";
      context.textAlign = "right";
      context.fillText(ring.channels[c].slice(0, 9), LEFT - 8, middle + 4, LEFT - 12);
      this.line(context, ring.values[c], first, last, x, y);
    });
  }

  shown() {
    return this.ring.channels.map((name, i) => i).filter((i) => !this.hidden.has(this.ring.channels[i]));
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

  // The name of the channel that moves most in the picture, for those who cannot see it; null without samples.
  strongest() {
    if (!this.ring || !this.ring.n) return null;
    const first = this.ring.first(this.edgeMs - this.seconds * 1000), kept = this.scale;
    this.scale = "auto";
    const halves = this.shown().map((c) => [this.range(c, first, this.ring.n).half, this.ring.channels[c]]);
    this.scale = kept;
    return halves.length ? halves.reduce((most, one) => (one[0] > most[0] ? one : most))[1] : null;
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

  ribbon(context, width, top, height, x, decisions) {
    context.fillStyle = TEXT;
    context.font = "11px sans-serif";
    context.textAlign = "right";
    context.fillText("gesture", LEFT - 8, top + height / 2 + 4);
    context.fillStyle = "#f4f6f8";
    context.fillRect(LEFT, top, width - LEFT - RIGHT, height);
    for (let i = 0; i < decisions.length;) {
      let end = i;
      while (end + 1 < decisions.length && decisions[end + 1].label === decisions[i].label
        && decisions[end + 1].at - decisions[end].at < 500) end += 1;
      const before = i > 0 && decisions[i].at - decisions[i - 1].at < 500 ? decisions[i - 1].at : decisions[i].at - 50;
      const x0 = Math.max(LEFT, x(before)), x1 = Math.min(width - RIGHT, x(decisions[end].at));
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
}

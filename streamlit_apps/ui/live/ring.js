// The samples of the last seconds, in memory that never grows.

export const KEPT_S = 12;

export class Ring {
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

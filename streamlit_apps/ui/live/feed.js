// The WebSocket of a live view: opened again when it ends, with a new token when the old one is refused.

const STOPPED_AFTER_MS = 700;   // said within 1 s, together with the 100 ms tick of a view
const BACKOFF_MS = [300, 600, 1200, 2500, 5000];

export class Feed {
  constructor(onMessage, onRefused) {
    this.onMessage = onMessage;
    this.onRefused = onRefused;
    this.arrivedAt = 0;  // of what shows that the stream is there, by performance.now()
    this.tries = 0;
    this.refusals = 0;
  }

  // Another address begins anew; another token is used when the old one was refused.
  follow(url, token) {
    const other = url !== this.url;
    const renewed = this.waitsForToken && token !== this.token;
    this.url = url;
    this.token = token;
    if (other) this.arrivedAt = 0;
    if (!other && !renewed) return other;
    this.waitsForToken = false;
    this.connect();
    return other;
  }

  connect() {
    clearTimeout(this.retry);
    this.close();
    this.connection = "connecting";
    let socket;
    try {
      socket = new WebSocket(this.url, ["semg.v1", `semg.token.${this.token}`]);
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

  receive(message) {
    this.tries = 0;
    this.refusals = 0;
    this.onMessage(message);
  }

  backoff(n) { return BACKOFF_MS[Math.min(n, BACKOFF_MS.length - 1)]; }

  later() {
    this.retry = setTimeout(() => this.connect(), this.backoff(this.tries));
    this.tries += 1;
  }

  state(now) {
    if (this.connection === "open") {
      if (!this.arrivedAt) return "waiting";
      return now - this.arrivedAt > STOPPED_AFTER_MS ? "stopped" : "live";
    }
    return this.connection || "connecting";
  }

  // Whole seconds since something arrived; at least one, because less is not said.
  silentS(now) { return Math.max(1, Math.round((now - this.arrivedAt) / 1000)); }

  close() {
    const socket = this.socket;
    this.socket = null;
    if (socket) socket.close();
  }

  dispose() {
    clearTimeout(this.retry);
    this.close();
  }
}

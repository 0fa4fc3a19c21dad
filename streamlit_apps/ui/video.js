// Plays a session's video. The file's time plus the first frame's server time is the server time of what is shown.
// Streamlit runs the default export again at every rerun; the player lives on through it.
import { Kept, partIn } from "./kept.js";

const EPSILON_S = 0.0001;      // a frame's time is rounded to 1/90,000 s: ask for a moment inside the frame

const pad = (value, digits) => String(value).padStart(digits, "0");

const clockText = (us) => {
  const at = new Date(us / 1000);
  return `${pad(at.getHours(), 2)}:${pad(at.getMinutes(), 2)}:${pad(at.getSeconds(), 2)}.${pad(at.getMilliseconds(), 3)}`;
};

class Player extends Kept {
  constructor(mount) {
    super();
    this.mount = mount;
    mount.replaceChildren();
    this.video = document.createElement("video");
    this.video.setAttribute("aria-label", "Video of the session");
    Object.assign(this.video, { controls: true, muted: true, playsInline: true, preload: "auto" });
    const below = document.createElement("div");
    below.className = "below";
    this.clock = document.createElement("span");
    this.note = document.createElement("span");
    below.append(this.clock, this.note);
    mount.append(this.video, below);
    this.video.addEventListener("loadedmetadata", () => {
      this.note.textContent = "";
      this.note.className = "";
      this.seek();
    });
    this.video.addEventListener("error", () => this.failed());
    this.video.addEventListener("timeupdate", () => this.tell());
    this.video.addEventListener("seeked", () => this.stopped());
    this.video.addEventListener("pause", () => this.stopped());
    this.onSeek = (event) => {
      if (event.detail.session_id !== this.sessionId) return;
      this.askedUs = event.detail.at_us;
      this.seek();
    };
    document.addEventListener("semg-video-seek", this.onSeek);
    const frame = () => {
      if (this.disposed) return;
      this.tell();
      this.video.requestVideoFrameCallback(frame);
    };
    this.video.requestVideoFrameCallback(frame);
  }

  update(data, setStateValue) {
    this.data = data;
    this.setStateValue = setStateValue;
    this.video.style.maxHeight = `${data.height_px}px`;
    if (data.session_id !== this.sessionId) {
      this.sessionId = data.session_id;
      this.askedUs = undefined;
      this.video.src = data.url;
    }
    if (data.at_us !== null && data.at_us !== this.askedUs) {
      this.askedUs = data.at_us;
      this.seek();
    }
    this.tell();
  }

  seek() {
    if (this.askedUs === undefined || this.video.readyState < 1) return;
    const seconds = (this.askedUs - this.data.started_us) / 1e6 + EPSILON_S;
    const target = Math.max(0, Math.min(seconds, this.video.duration || 0));
    if (Math.abs(target - this.video.currentTime) < 2 * EPSILON_S) return;
    this.ownSeek = true;
    this.video.currentTime = target;
  }

  nowUs() { return Math.round(this.data.started_us + this.video.currentTime * 1e6); }

  tell() {
    if (!this.data) return;
    const atUs = this.nowUs();
    if (atUs === this.toldUs) return;
    this.toldUs = atUs;
    this.clock.textContent = clockText(atUs);
    this.mount.dataset.atUs = atUs;
    const detail = { session_id: this.sessionId, at_us: atUs, playing: !this.video.paused };
    document.dispatchEvent(new CustomEvent("semg-video-time", { detail }));
  }

  stopped() {
    this.mount.dataset.shownUs = this.nowUs();
    if (this.ownSeek) { this.ownSeek = false; return; }
    if (!this.video.paused || this.video.seeking || !this.data) return;
    this.askedUs = this.nowUs();
    this.setStateValue("at_us", this.askedUs);
  }

  failed() {
    // The address holds a token that expires; a reload of the page makes a new one.
    this.note.className = "failed";
    this.note.textContent = "The video cannot be loaded. Reload the page; if that does not help, the API may not be running.";
    const { data } = this;
    if (data && data.url !== this.retried) {
      this.retried = data.url;
      if (this.video.currentTime > 0) this.askedUs = this.nowUs();
      this.setStateValue("expired", data.url);
    }
  }

  renew(url) {
    if (this.retried && url !== this.retried && this.video.error) this.video.src = url;
  }

  dispose() {
    document.removeEventListener("semg-video-seek", this.onSeek);
    this.video.removeAttribute("src");
    this.video.load();
  }
}

export default function ({ parentElement, data, setStateValue }) {
  const player = partIn(parentElement.querySelector(".semg-video"), (mount) => new Player(mount));
  player.update(data, setStateValue);
  player.renew(data.url);
  return () => player.disposeSoon();
}

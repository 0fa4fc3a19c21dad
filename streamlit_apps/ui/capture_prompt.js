import { Kept, partIn } from "./kept.js";
import { fit } from "./capture_fit.js";
import { promptAt } from "./capture_schedule.js";
import { Sound } from "./capture_sound.js";
// Shows a running capture by the server's clock: what to perform now, what comes next, how far the plan is.
// The labels are written on the server by the same plan; this only shows it, so that any number of tabs may.
// The same card is a part of the page, the whole screen, or a second screen's only content.

const RADIUS = 45, ROUND = 2 * Math.PI * RADIUS;

const el = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const svg = (tag, attributes) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
};

class Prompt extends Kept {
  constructor(mount, data) {
    super();
    this.mount = mount;
    this.offsetMs = -Infinity;
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.isAlone = data.view === "participant";
    mount.replaceChildren();
    mount.classList.toggle("large", this.isAlone);
    this.card = el("div", "card");
    this.kind = el("div", "kind");
    this.name = el("div", "name");
    this.name.setAttribute("aria-live", "assertive");
    this.about = el("div", "about");
    this.count = el("div", "count");
    this.ring = svg("circle", { class: "gone", cx: 50, cy: 50, r: RADIUS, "stroke-dasharray": ROUND,
      transform: "rotate(-90 50 50)" });
    const ring = svg("svg", { viewBox: "0 0 100 100", "aria-hidden": "true" });
    ring.append(svg("circle", { class: "whole", cx: 50, cy: 50, r: RADIUS }), this.ring);
    const clock = el("div", "clock");
    clock.append(ring, this.count);
    this.stepBar = el("i");
    const bar = el("div", "step");
    bar.append(this.stepBar);
    const words = el("div", "words");
    words.append(this.kind, this.name, this.about);
    this.picture = el("div", "picture");
    this.row = el("div", "row");
    this.row.append(words, this.picture, clock);
    this.words = words;
    this.card.append(this.row, bar);
    this.next = el("div", "next");
    this.planBar = el("div", "plan");
    this.cursor = el("i", "cursor");
    this.figures = el("div", "figures");
    const below = el("div", "below");
    below.append(this.figures, this.controls(data));
    mount.append(this.card, this.next, this.planBar, below);
    this.onKey = (event) => this.press(event);
    document.addEventListener("semg-key", this.onKey);
    mount.onfullscreenchange = () => {
      mount.classList.toggle("large", this.isAlone || mount.matches(":fullscreen"));
      this.fittedFor = null;
    };
    this.resizer = new ResizeObserver(() => { this.fittedFor = null; });
    this.resizer.observe(mount);
    mount.lang = data.language;
    this.timer = setInterval(() => this.show(), 50);
  }

  controls(data) {
    const box = el("div", "controls");
    this.sound = new Sound(this.isAlone ? "participant" : "page", () => this.showSound());
    this.soundButton = el("button", "sound");
    this.soundButton.onclick = () => this.sound.set(!this.sound.on);
    this.volume = el("input", "volume");
    Object.assign(this.volume, { type: "range", min: "0", max: "1", step: "0.05", value: String(this.sound.volume) });
    this.volume.setAttribute("aria-label", data.words.volume);
    this.volume.oninput = () => this.sound.setVolume(Number(this.volume.value));
    this.soundHint = el("span", "hint", data.words.sound_blocked);
    this.soundHint.setAttribute("role", "status");
    this.fullButton = el("button", "full", data.words.full_screen);
    this.fullButton.onclick = () => this.toggleFullScreen();
    box.append(this.soundHint, this.soundButton, this.volume, this.fullButton);
    return box;
  }

  showSound() {
    const { words } = this.data;
    const { state } = this.sound;
    this.soundButton.textContent = state === "off" ? words.sound_off : words.sound_on;
    this.soundButton.classList.toggle("on", state !== "off");
    this.volume.hidden = state === "off";
    this.soundHint.hidden = state !== "blocked";
    this.mount.dataset.sound = state;
  }

  press(event) {
    if (event.detail.action === "capture.full_screen") this.toggleFullScreen();
  }

  toggleFullScreen() {
    const done = this.mount.matches(":fullscreen") ? document.exitFullscreen() : this.mount.requestFullscreen();
    done.catch((error) => console.warn("no full screen:", error));
  }

  update(data) {
    // A message can only be late: the largest difference seen is the nearest to the clocks' true one.
    this.offsetMs = Math.max(this.offsetMs, data.server_ms - Date.now());
    this.data = data;
    const signature = JSON.stringify([data.steps, data.started_ms, data.paused_s]);
    if (signature !== this.stepsFor) {
      this.stepsFor = signature;
      this.sound.silence();
      this.drawPlan(data);
    }
    this.showSound();
    this.show();
  }

  drawPlan(data) {
    this.planBar.replaceChildren();
    const total = data.steps[data.steps.length - 1].end_s;
    for (const step of data.steps) {
      const piece = el("span", step.dropped ? "dropped" : "");
      piece.style.width = `${100 * (step.end_s - step.start_s) / total}%`;
      if (!step.dropped) {
        piece.style.background = step.gesture === null ? "#eef1f4" : data.gesture_colours[step.gesture] || "#7f7f7f";
      }
      if (!this.isAlone) {
        piece.title = step.gesture === null ? (step.dropped ? "pause" : "get ready") :
          `${step.gesture} ${step.number}${step.dropped ? ": to be performed again later" : ""}`;
      }
      this.planBar.append(piece);
    }
    this.planBar.append(this.cursor);
  }

  show() {
    const { data } = this;
    if (!data) return;
    const { steps } = data;
    const at = data.paused_s ?? (Date.now() + this.offsetMs - data.started_ms) / 1000;
    this.cursor.style.left = `${Math.max(0, Math.min(100, 100 * at / steps[steps.length - 1].end_s))}%`;
    const shown = promptAt(data, at, this.calm?.matches);
    for (const name of ["kind", "name", "about", "count", "next"]) {
      // Written only when it changes: what reads the screen aloud would say it twenty times a second.
      if (this[name].textContent !== shown[name]) this[name].textContent = shown[name];
    }
    this.figures.textContent = shown.progress;
    this.stepBar.style.width = `${100 * shown.part}%`;
    this.ring?.setAttribute("stroke-dashoffset", String(ROUND * shown.part));
    this.card.style.setProperty("--g", shown.colour);
    this.depict(shown.step || shown.coming, shown.step !== null);
    this.mount.dataset.prompt = shown.state;
    this.fitScreen(shown);
    if (data.paused_s === null) this.sound?.follow(steps, at);
  }

  // On the whole screen, what is said is as large as it fits: looked at anew when the words or the screen have changed.
  fitScreen({ state, kind, name, about, next, progress }) {
    if (!this.mount.classList.contains("large")) return;
    const said = JSON.stringify([state, kind, name, about, next, progress.length, this.soundHint.hidden]);
    if (said === this.fittedFor) return;
    this.fittedFor = said;
    fit(this.mount, this.words, [this.row, this.next], [this.mount, this.row]);
  }

  // Shows a step's gesture: now, or paler when it is the next one.
  depict(step, now) {
    const found = step && window.semgPictures ? window.semgPictures.get(step.gesture) : undefined;
    this.picture.classList.toggle("coming", !now);
    if (this.depicted === found) return;
    this.depicted = found;
    this.picture.replaceChildren();
    if (!found) return;
    const video = found.type.startsWith("video/");
    const shown = document.createElement(video ? "video" : "img");
    const moves = !this.calm?.matches;
    if (video) Object.assign(shown, { autoplay: moves, loop: true, muted: true, playsInline: true });
    else shown.alt = "";
    shown.src = found.url;
    this.picture.append(shown);
  }

  dispose() {
    clearInterval(this.timer);
    this.resizer.disconnect();
    document.removeEventListener("semg-key", this.onKey);
    this.sound.close();
  }
}

export default function ({ parentElement, data }) {
  const prompt = partIn(parentElement.querySelector(".semg-prompt"), (mount) => new Prompt(mount, data));
  prompt.update(data);
  return () => prompt.disposeSoon();
}

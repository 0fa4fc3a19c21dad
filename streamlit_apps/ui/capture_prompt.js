// Shows a running capture by the server's clock: what to perform now, what comes next, how far the plan is.
// The labels are written on the server by the same plan; this only shows it, so that any number of tabs may.

const el = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const clockText = (seconds) => {
  const whole = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
};

const isPerformance = (step) => !step.dropped && step.gesture !== null && step.gesture !== "rest";

class Prompt {
  constructor(mount) {
    this.mount = mount;
    this.offsetMs = -Infinity;
    mount.replaceChildren();
    this.card = el("div", "card");
    this.kind = el("div", "kind");
    this.name = el("div", "name");
    this.name.setAttribute("aria-live", "assertive");
    this.about = el("div", "about");
    this.count = el("div", "count");
    this.stepBar = el("i");
    const bar = el("div", "step");
    bar.append(this.stepBar);
    const words = el("div", "words");
    words.append(this.kind, this.name, this.about);
    this.picture = el("div", "picture");
    const row = el("div", "row");
    row.append(words, this.picture, this.count);
    this.card.append(row, bar);
    this.next = el("div", "next");
    this.planBar = el("div", "plan");
    this.cursor = el("i", "cursor");
    this.figures = el("div", "figures");
    mount.append(this.card, this.next, this.planBar, this.figures);
    this.timer = setInterval(() => this.show(), 50);
  }

  update(data) {
    // A message can only be late: the largest difference seen is the nearest to the clocks' true one.
    this.offsetMs = Math.max(this.offsetMs, data.server_ms - Date.now());
    this.data = data;
    const signature = JSON.stringify(data.steps);
    if (signature !== this.stepsFor) {
      this.stepsFor = signature;
      this.planBar.replaceChildren();
      const total = data.steps[data.steps.length - 1].end_s;
      for (const step of data.steps) {
        const piece = el("span", step.dropped ? "dropped" : "");
        piece.style.width = `${100 * (step.end_s - step.start_s) / total}%`;
        if (!step.dropped) {
          piece.style.background = step.gesture === null ? "#eef1f4" : data.gesture_colours[step.gesture] || "#7f7f7f";
        }
        piece.title = step.gesture === null ? (step.dropped ? "pause" : "get ready") :
          `${step.gesture} ${step.number}${step.dropped ? ": to be performed again later" : ""}`;
        this.planBar.append(piece);
      }
      this.planBar.append(this.cursor);
    }
    this.show();
  }

  show() {
    const { data } = this;
    if (!data) return;
    const { steps } = data;
    const paused = data.paused_s !== null;
    const at = paused ? data.paused_s : (Date.now() + this.offsetMs - data.started_ms) / 1000;
    const total = steps[steps.length - 1].end_s;
    this.cursor.style.left = `${Math.max(0, Math.min(100, 100 * at / total))}%`;
    const performances = steps.filter(isPerformance);
    const done = performances.filter((step) => step.end_s <= at).length;
    const progress = `${done} of ${performances.length} performed · ${clockText(total - Math.max(at, 0))} left`;
    const index = steps.findIndex((step) => at < step.end_s);
    if (paused) {
      const waiting = performances.find((step) => step.start_s >= at);
      this.set("Paused", waiting ? `Next: ${waiting.gesture}` : "Next: the end",
        "Nothing is being labelled. The interrupted repetition will be performed again.", "‖", 0, "#5f6f7c", "");
      this.figures.textContent = progress;
      this.depict(waiting, false);
      this.mount.dataset.prompt = "paused";
      return;
    }
    if (index < 0) {
      this.set("", "Done", "The last labels are being written.", "", 1, "#0b7a55", "");
      this.figures.textContent = "";
      this.depict(null, false);
      this.mount.dataset.prompt = "done";
      return;
    }
    const step = steps[index];
    const left = step.end_s - Math.max(at, step.start_s);
    const kind = step.gesture === null ? "Get ready" : step.gesture === "rest" ? "Relax" : "Perform now and hold";
    const following = steps.slice(index + 1).find(isPerformance);
    const name = step.gesture === null ? (following ? `First: ${following.gesture}` : "") : step.gesture;
    const colour = step.gesture === null ? "#5f6f7c" : data.gesture_colours[step.gesture] || "#7f7f7f";
    const about = step.gesture ? data.descriptions[step.gesture] || "" : "Sit comfortably, arm relaxed.";
    this.set(kind, index > 0 && step.gesture === null && following ? `Then: ${following.gesture}` : name, about,
      String(Math.max(1, Math.ceil(left))),
      (Math.max(at, step.start_s) - step.start_s) / (step.end_s - step.start_s), colour,
      following ? `Next: ${following.gesture}` : "Next: the end");
    this.figures.textContent = progress;
    const performs = isPerformance(step);
    this.depict(performs ? step : following, performs);
    this.mount.dataset.prompt = step.gesture === null ? "prepare" : step.gesture;
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
    if (video) Object.assign(shown, { autoplay: true, loop: true, muted: true, playsInline: true });
    else shown.alt = "";
    shown.src = found.url;
    this.picture.append(shown);
  }

  set(kind, name, about, count, part, colour, next) {
    this.kind.textContent = kind;
    this.name.textContent = name;
    this.about.textContent = about;
    this.count.textContent = count;
    this.stepBar.style.width = `${100 * part}%`;
    this.card.style.setProperty("--g", colour);
    this.next.textContent = next;
  }

  keep() { clearTimeout(this.disposal); }

  disposeSoon() {
    clearTimeout(this.disposal);
    this.disposal = setTimeout(() => { this.disposed = true; clearInterval(this.timer); }, 500);
  }
}

export default function ({ parentElement, data }) {
  const mount = parentElement.querySelector(".semg-prompt");
  let prompt = mount.semgPrompt;
  if (!prompt || prompt.disposed) prompt = mount.semgPrompt = new Prompt(mount);
  prompt.keep();
  prompt.update(data);
  return () => prompt.disposeSoon();
}

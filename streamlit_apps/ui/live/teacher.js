// Teach this: the seconds that were just performed get a label, and are stored by the page.

import { button, choice, el, write } from "./parts.js";

const SECONDS = ["1", "2", "3", "4", "5"];

export class Teacher {
  constructor(moment, onTaught) {
    this.moment = moment;
    this.onTaught = onTaught;
    this.seconds = "2";
    this.box = el("div", "teach controls");
  }

  update(data) {
    const signature = JSON.stringify([data.gestures, data.may_teach]);
    if (signature === this.builtFor) return;
    this.builtFor = signature;
    this.box.replaceChildren();
    this.box.hidden = !data.may_teach || !data.gestures.length;
    if (this.box.hidden) return;
    if (!data.gestures.includes(this.gesture)) this.gesture = data.gestures.find((name) => name !== "rest") || "rest";
    this.note = el("span", "note");
    this.note.setAttribute("role", "status");
    this.box.append(
      choice("The last", SECONDS.map((text) => [text, `${text} s`]), this.seconds, (value) => { this.seconds = value; }),
      choice("were", data.gestures.map((name) => [name, name]), this.gesture, (value) => { this.gesture = value; }),
      button("teach-this", "Teach this", () => this.teach()),
      this.note);
  }

  teach() {
    const endMs = this.moment();
    write(this.note, endMs === null ? "Wait until signals arrive, and perform the gesture first." : "");
    if (endMs === null) return;
    this.onTaught({ gesture: this.gesture, length_s: Number(this.seconds), end_ms: endMs, pressed: Date.now() });
  }
}

// The playing field of the tapping task: its targets, the one to go to, and the cursor.

import { FIELD } from "./tapping.js";

const CURSOR = 16;

const shape = (name, className) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  made.setAttribute("class", className);
  return made;
};

const put = (element, values) => {
  for (const [name, value] of Object.entries(values)) element.setAttribute(name, value);
};

export class Field {
  constructor(mount) {
    this.svg = shape("svg", "field");
    this.svg.setAttribute("role", "img");
    this.ring = shape("g", "ring");
    this.held = shape("circle", "held");
    this.cursor = shape("path", "cursor");
    this.cursor.setAttribute("d", `M0 0 m-${CURSOR} 0 a${CURSOR} ${CURSOR} 0 1 0 ${2 * CURSOR} 0 ` +
      `a${CURSOR} ${CURSOR} 0 1 0 -${2 * CURSOR} 0 M-${CURSOR + 10} 0 H${CURSOR + 10} M0 -${CURSOR + 10} V${CURSOR + 10}`);
    this.svg.append(this.ring, this.held, this.cursor);
    mount.append(this.svg);
  }

  label(text) { this.svg.setAttribute("aria-label", text); }

  lay(reduced) {
    const height = reduced ? 300 : 2 * FIELD + 20;
    this.svg.setAttribute("viewBox", `${-FIELD - 10} ${-height / 2} ${2 * FIELD + 20} ${height}`);
  }

  // What stands there while nothing is played.
  clear(reduced) {
    this.lay(reduced);
    this.ring.replaceChildren();
    this.shown = null;
    put(this.held, { r: 0 });
    put(this.cursor, { transform: "translate(0 0)" });
  }

  show(task, now) {
    if (this.shown !== task.centres) {
      this.shown = task.centres;
      this.lay(task.reduced);
      const places = new Map(task.centres.map((centre) => [centre.map(Math.round).join(), centre]));
      this.circles = [...places.values()].map((centre) => {
        const circle = shape("circle", "target");
        put(circle, { cx: centre[0], cy: centre[1], r: task.width / 2 });
        return circle;
      });
      this.marked = shape("circle", "target marked");
      this.ring.replaceChildren(...this.circles, this.marked);
    }
    if (task.done) return;
    const [x, y] = task.target;
    put(this.marked, { cx: x, cy: y, r: task.width / 2 });
    put(this.held, { cx: x, cy: y, r: task.dwelt(now) * task.width / 2 });
    put(this.cursor, { transform: `translate(${task.position[0]} ${task.position[1]})` });
  }
}

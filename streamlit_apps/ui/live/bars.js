// The probability of every gesture as a bar, with the mark that a new gesture has to reach.

import { el, write } from "./parts.js";

const MOST = 12;  // of a large bank those are shown that are likeliest now

// Return the names that are shown, in the order of the bank: all, or the likeliest and what was shown before.
export const shownNames = (bank, probabilities, most = MOST) => {
  const names = [...bank, ...Object.keys(probabilities).filter((name) => !bank.includes(name))];
  if (names.length <= most) return names;
  const likeliest = [...names].sort((a, b) => (probabilities[b] || 0) - (probabilities[a] || 0)).slice(0, most);
  return names.filter((name) => likeliest.includes(name));
};

export class Bars {
  constructor(mount) {
    this.mount = mount;
    this.rows = new Map();
    mount.setAttribute("role", "group");
    mount.setAttribute("aria-label", "Probability of each gesture");
  }

  show(names, probabilities, needed, recognised, colours) {
    if (names.join("\n") !== this.drawn) this.draw(names, colours);
    for (const [name, row] of this.rows) {
      const share = Math.round(100 * (probabilities[name] || 0));
      row.fill.style.width = `${share}%`;
      write(row.value, `${share} %`);
      row.meter.setAttribute("aria-valuenow", String(share));
      row.mark.style.left = `${100 * needed}%`;
      row.box.classList.toggle("recognised", name === recognised);
    }
    this.mount.classList.remove("empty");
  }

  // Nothing is known now: no bar goes on showing what was.
  clear() {
    for (const row of this.rows.values()) {
      row.fill.style.width = "0";
      write(row.value, "—");
      row.meter.setAttribute("aria-valuenow", "0");
      row.box.classList.remove("recognised");
    }
    this.mount.classList.add("empty");
  }

  draw(names, colours) {
    this.drawn = names.join("\n");
    this.rows.clear();
    this.mount.replaceChildren();
    for (const name of names) {
      const box = el("div", "bar"), meter = el("span", "track"), fill = el("i", "fill"), mark = el("i", "mark");
      const title = el("span", "name", name), value = el("b", "value", "—");
      title.title = name;
      fill.style.background = colours[name] || "#7f7f7f";
      meter.setAttribute("role", "meter");
      meter.setAttribute("aria-label", name);
      meter.setAttribute("aria-valuemin", "0");
      meter.setAttribute("aria-valuemax", "100");
      meter.append(fill, mark);
      box.append(title, meter, value);
      this.mount.append(box);
      this.rows.set(name, { box, meter, fill, mark, value });
    }
  }
}

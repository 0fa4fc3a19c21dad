// The gesture events that programs are told, the newest first, behind a title that is closed until somebody opens it.

import { remember, remembered } from "./aac_settings.js";
import { el } from "./parts.js";

const SHOWN = 8;
const OPEN_EVENTS = "semg-live-events";

// What an event says in words; times are those of the clock on this screen.
export const eventWords = (event) => {
  const seconds = (event.duration_ms / 1000).toFixed(1);
  const strength = event.strength === null ? "" : `, strength ${Math.round(100 * event.strength)} %`;
  const why = event.reason && event.reason !== "let go" ? ` (${event.reason})` : "";
  const what = {
    press: `${event.gesture} pressed${strength}`,
    hold: `${event.gesture} held for ${seconds} s${strength}`,
    release: `${event.gesture} released after ${seconds} s${why}`,
  };
  return `${new Date(event.at).toLocaleTimeString([], { hour12: false })}  ${what[event.kind] || event.kind}`;
};

export class Events {
  constructor() {
    this.box = el("details", "details");
    this.box.open = remembered(OPEN_EVENTS) === true;
    this.box.ontoggle = () => remember(OPEN_EVENTS, this.box.open);
    this.list = el("ol", "events");
    this.box.append(el("summary", "", "Gesture events"), this.list);
    this.clear();
  }

  clear() {
    this.count = 0;
    this.list.replaceChildren(el("li", "none", "None yet. What a program acts on is listed here."));
  }

  add(event) {
    if (this.count === 0) this.list.replaceChildren();
    this.count += 1;
    const row = el("li", event.kind, eventWords(event));
    row.dataset.sequence = event.sequence;
    this.list.prepend(row);
    while (this.list.children.length > SHOWN) this.list.lastChild.remove();
  }
}

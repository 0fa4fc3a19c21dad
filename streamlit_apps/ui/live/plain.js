// The plain view for daily use: the gesture, its picture and its phrase, large, on any screen. It says when it does not
// know, and never shows a gesture that was decided before the stream or the connection went.

import { named } from "../gesture_names.js";
import { Kept, partIn } from "../kept.js";
import { Feed } from "./feed.js";
import { shownNext } from "./once.js";
import { button, el, fill, write } from "./parts.js";
import { Pictures } from "./pictures.js";
import { Talk } from "./talk.js";

const SIGNS = { live: "●", waiting: "○", connecting: "○", stopped: "■", offline: "■", refused: "■", gone: "■" };

class PlainView extends Kept {
  constructor(mount) {
    super();
    this.mount = mount;
    // Decisions alone are asked for: each is a sign that the stream is there, and a phone needs no samples.
    this.feed = new Feed((message) => this.receive(message), () => this.onRefused());
    this.build();
    this.ticker = setInterval(() => this.tick(), 100);
  }

  build() {
    this.mount.replaceChildren();
    const head = el("header", "head");
    this.name = el("h1", "person");
    this.connection = el("div", "connection");
    this.connection.setAttribute("role", "status");
    head.append(this.name, this.connection);
    this.card = el("main", "card");
    this.pictures = new Pictures(this.card);
    this.label = el("div", "label");
    this.label.setAttribute("aria-live", "polite");
    this.hint = el("div", "hint");
    this.hold = el("i");
    const hold = el("div", "hold");
    hold.append(this.hold);
    this.card.append(this.label, hold, this.hint);
    const talk = el("div", "talk"), buttons = el("div", "talk-buttons");
    this.talk = new Talk(talk, buttons);
    this.foot = el("footer", "foot");
    this.leave = button("leave", "", () => this.toFullPage());
    this.foot.append(buttons, this.leave, this.talk.panel.box);
    this.buttons = buttons;
    this.mount.append(head, this.card, talk, this.foot);
  }

  toFullPage() {
    const address = new URL(location.href);
    address.searchParams.delete("view");
    location.assign(address.href);
  }

  update(data, onRefused) {
    const other = !this.data || this.data.url !== data.url;
    this.data = data;
    this.onRefused = onRefused;
    this.mount.lang = data.language;
    write(this.name, data.person);
    write(this.leave, data.words.leave);
    if (other) this.shown = null;
    this.talk.update(data);
    this.pictures.update(data.pictures);
    this.buttons.hidden = !this.talk.used;
    this.feed.follow(data.url, data.token);
  }

  receive(message) {
    if (message.type !== "decision") return;
    const now = performance.now();
    this.feed.arrivedAt = now;
    this.shown = shownNext(this.shown, message, now);
    this.talk.decide(message, now);
  }

  // The state in the participant's words, and what stands below the sign that nothing is known.
  words(state, now) {
    const { words, has_model } = this.data;
    const none = has_model ? "" : words.no_model;
    return {
      live: [words.live, ""],
      connecting: [words.connecting, ""],
      waiting: [words.waiting, none],
      stopped: [words.stopped, fill(words.no_decisions, { seconds: this.feed.silentS(now) })],
      offline: [words.lost, words.lost_hint],
      refused: [words.connecting, this.feed.refusals > 2 ? words.refused : ""],
      gone: [words.lost, words.gone],
    }[state];
  }

  tick() {
    if (!this.data) return;
    const now = performance.now(), state = this.feed.state(now), { data } = this;
    const [said, hint] = this.words(state, now);
    const live = state === "live";
    if (!live && this.wasLive) this.talk.lose();
    this.wasLive = live;
    write(this.connection, `${SIGNS[state]} ${said}`);
    this.connection.dataset.state = state;
    const label = live && this.shown ? this.shown.message.label : null;
    const shown = !live ? "—" : label === null ? data.words.unsure
      : label === "rest" ? data.words.rest : named(data.names, label);
    write(this.label, shown);
    write(this.hint, hint);
    this.card.classList.toggle("unknown", label === null);
    this.card.style.setProperty("--g", label ? data.gesture_colours[label] || "#7f7f7f" : "#c3ccd3");
    this.pictures.show(label);
    this.hold.style.width = `${Math.round(100 * (live ? this.talk.aac.heldShare(now) : 0))}%`;
    this.talk.tick(now, live);
    Object.assign(this.mount.dataset, { state, label: shown, activations: this.talk.activations,
      spoken: this.talk.speech.spoken });
  }

  dispose() {
    clearInterval(this.ticker);
    this.talk.dispose();
    this.feed.dispose();
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const view = partIn(parentElement.querySelector(".semg-plain"), (mount) => new PlainView(mount));
  view.update(data, () => setTriggerValue("refused", Date.now()));
  return () => view.disposeSoon();
}

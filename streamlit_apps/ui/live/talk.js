// Phrases of gestures on the screen: what is said, what waits for a confirmation, what was taken back, the list that
// is stepped through, and the last phrases. What happens when is decided in aac.js.

import { named } from "../gesture_names.js";
import { Aac } from "./aac.js";
import { cleaned, remember, remembered, settingsKey } from "./aac_settings.js";
import { button, el, fill, write } from "./parts.js";
import { SettingsPanel } from "./settings_panel.js";
import { Speech } from "./speech.js";

const SHOWN_PHRASES = 5;

export class Talk {
  constructor(mount, buttons) {
    this.mount = mount;
    this.buttons = buttons;
    this.aac = new Aac();
    this.activations = 0;
    this.phrase = el("div", "phrase");
    this.phrase.setAttribute("aria-live", "polite");
    this.ask = el("div", "ask");
    this.ask.setAttribute("role", "group");
    this.asked = el("div", "asked");
    this.asked.setAttribute("aria-live", "polite");
    this.timer = el("i");
    const timer = el("div", "timer");
    timer.append(this.timer);
    this.yes = button("yes", "", () => this.happen(this.aac.confirm()));
    this.no = button("no", "", () => this.happen(this.aac.undo()));
    this.ask.append(this.asked, timer, this.yes, this.no);
    this.note = el("div", "note");
    this.note.setAttribute("role", "status");
    this.scan = el("div", "scan");
    this.scan.setAttribute("role", "group");
    this.past = el("ol", "past-phrases");
    this.mount.append(this.phrase, this.ask, this.note, this.scan, this.past);
    this.panel = new SettingsPanel((settings) => this.set(settings));
  }

  update(data) {
    const other = !this.data || this.data.user_id !== data.user_id;
    const builtFor = JSON.stringify([data.phrases, data.words, data.gestures, data.names]);
    const same = !other && builtFor === this.builtFor;
    this.data = data;
    if (same) return;
    this.builtFor = builtFor;
    if (other) {
      this.speech?.dispose();
      this.speech = new Speech(data.language, () => this.showSpeech());
      this.settings = cleaned(remembered(settingsKey(data.user_id)));
      this.aac.reset();
      this.aac.history = [];
      write(this.phrase, "");
    }
    this.aac.configure(this.settings, data.phrases);
    this.build();
  }

  get used() { return Object.keys(this.data.phrases).length > 0 || this.settings.phrases.length > 0; }

  build() {
    const { words } = this.data;
    write(this.yes, words.confirm);
    write(this.no, words.cancel);
    this.scan.setAttribute("aria-label", words.phrases);
    this.past.setAttribute("aria-label", words.history);
    this.speechButton = button("speech", "", () => this.toggleSpeech());
    this.undoButton = button("undo", words.undo, () => this.happen(this.aac.undo()));
    this.panelButton = button("aac", words.settings, () => this.panel.toggle(this.panelButton));
    this.panel.build(this.data, this.settings);
    this.buttons.replaceChildren(this.speechButton, this.undoButton, this.panelButton);
    this.mount.classList.toggle("used", this.used);
    this.mount.classList.toggle("large", this.settings.large);
    this.phrase.dataset.empty = words.empty;
    this.buildScan();
    this.showSpeech();
    this.showHistory();
  }

  buildScan() {
    this.scan.replaceChildren();
    this.cells = [];
    this.scan.classList.toggle("on", this.aac.scans);
    if (!this.aac.scans) return;
    this.scan.style.setProperty("--columns", this.settings.columns);
    for (const row of this.aac.rows) {
      const line = el("div", "row");
      this.cells.push({ line, cells: row.map((phrase) => {
        const cell = button("cell", phrase, () => this.happen(this.aac.choose(phrase, performance.now())));
        line.append(cell);
        return cell;
      }) });
      this.scan.append(line);
    }
  }

  set(settings) {
    this.settings = cleaned(settings);
    this.panel.say(remember(settingsKey(this.data.user_id), this.settings) ? "" : this.data.words.not_kept);
    this.aac.configure(this.settings, this.data.phrases);
    this.mount.classList.toggle("used", this.used);
    this.mount.classList.toggle("large", this.settings.large);
    this.buildScan();
    this.showSpeech();
  }

  toggleSpeech() {
    if (this.speechButton.disabled) return;
    this.set({ ...this.settings, speak: !this.settings.speak });
    if (!this.settings.speak) this.speech.hush();
  }

  showSpeech() {
    if (!this.speechButton) return;
    const able = this.speech.voice() !== null, { words } = this.data;
    this.speaks = able && this.settings.speak;
    this.speechButton.disabled = !able;
    write(this.speechButton, !able ? words.no_voice : this.speaks ? words.speaking : words.speak);
    this.speechButton.title = words.speech_hint;
    this.speechButton.setAttribute("aria-pressed", String(this.speaks));
    this.speechButton.classList.toggle("on", this.speaks);
  }

  decide({ label, once }, now) { this.happen(once ? this.aac.decideOnce(label, now) : this.aac.decide(label, now)); }

  // The stream is not there: what waits is not said, and what was said last does not look like the present.
  lose() {
    this.happen(this.aac.lose());
    this.phrase.classList.add("past");
  }

  happen(events) {
    for (const event of events) {
      if (event.type === "activated") this.activations += 1;
      else if (event.type === "rest") this.phrase.classList.add("past");
      else if (event.type === "said") this.said(event);
      else if (event.type === "undone") this.undone(event);
      else if (event.type === "dropped") this.tell("dropped", fill(this.data.words.dropped, event));
      else if (event.type === "nothing") this.tell("", this.data.words.nothing);
    }
  }

  said({ label, phrase }) {
    write(this.phrase, phrase);
    this.phrase.classList.remove("past");
    this.phrase.style.setProperty("--g", this.data.gesture_colours[label] || "#0b6e8f");
    this.tell("said", "");
    if (this.speaks) this.speech.speak(phrase);
    this.showHistory();
  }

  undone({ phrase }) {
    this.speech.hush();
    write(this.phrase, "");
    this.tell("undone", fill(this.data.words.undone, { phrase }));
    this.showHistory();
  }

  tell(what, note) {
    write(this.note, note);
    if (this.settings.vibrate) this.speech.vibrate(what);
  }

  showHistory() {
    const { history } = this.aac;
    const large = history.at(-1) === this.phrase.textContent;  // it stands above already
    const last = (large ? history.slice(0, -1) : history).slice(-SHOWN_PHRASES).reverse();
    this.past.replaceChildren(...last.map((phrase) => el("li", "", phrase)));
    this.undoButton.disabled = !history.length && !this.aac.pending;
  }

  // Ten times a second: what waits, how long it still waits, and which phrase the scanning is at.
  tick(now, live) {
    if (live) this.happen(this.aac.tick(now));
    const { pending, scan } = this.aac, { words } = this.data;
    this.ask.classList.toggle("on", pending !== null);
    if (pending) {
      const ways = { again: words.ask_again, gesture: words.ask_gesture, button: words.ask_button };
      const way = ways[this.settings.confirm] || "";
      write(this.asked, fill(words.ask, { phrase: pending.phrase }) + " "
        + fill(way, { gesture: named(this.data.names, this.settings.confirm_gesture) || words.confirm }));
      const left = (pending.until - now) / (1000 * this.settings.confirm_s);
      this.timer.style.width = `${Math.round(100 * Math.max(0, Math.min(1, left)))}%`;
      if (this.waited !== pending && this.settings.vibrate) this.speech.vibrate("asked");
      this.undoButton.disabled = false;
    } else write(this.asked, "");
    this.waited = pending;
    this.cells.forEach(({ line, cells }, row) => {
      line.classList.toggle("at", scan.row === row);
      cells.forEach((cell, item) => {
        cell.classList.toggle("at", scan.level === "item" && scan.row === row && scan.item === item);
      });
    });
  }

  dispose() {
    if (this.speaks) this.speech.hush();
    this.speech?.dispose();
    this.panel.dispose();
  }
}

// The fields of the settings for saying things by gestures.

import { named } from "../gesture_names.js";
import { RANGES } from "./aac_settings.js";
import { button, choice, el, write } from "./parts.js";

export class SettingsPanel {
  constructor(onChange) {
    this.onChange = onChange;
    this.box = el("div", "aac-settings");
    this.box.hidden = true;
    this.onKey = (event) => { if (event.key === "Escape" && !this.box.hidden) this.toggle(this.opener); };
    this.box.addEventListener("keydown", this.onKey);
  }

  toggle(opener) {
    this.opener = opener;
    this.box.hidden = !this.box.hidden;
    opener.setAttribute("aria-expanded", String(!this.box.hidden));
    if (this.box.hidden) opener.focus();
    else this.box.querySelector("select, input, button").focus();
  }

  build(data, settings) {
    const { words } = data;
    const choices = data.gestures.filter((name) => name !== "rest").map((name) => [name, named(data.names, name)]);
    const gestures = [["", words.none], ...choices];
    this.settings = settings;
    this.note = el("div", "note");
    this.note.setAttribute("role", "status");
    const direct = this.group(words.direct_title,
      this.list("confirm", words.confirm_by, [["none", words.confirm_none], ["again", words.confirm_again],
        ["gesture", words.confirm_gesture], ["button", words.confirm_button]]),
      this.list("confirm_gesture", words.confirm_with, gestures),
      this.number("confirm_s", words.confirm_s, 1));
    const scanning = this.group(words.scan_title,
      this.list("scan_by", words.scan_by, [["time", words.scan_time], ["gesture", words.scan_gesture]]),
      this.number("scan_ms", words.scan_ms, 100),
      this.list("step_gesture", words.step_with, gestures),
      this.list("select_gesture", words.select_with, gestures),
      this.number("columns", words.columns, 1),
      this.lines("phrases", words.own_phrases));
    this.box.replaceChildren(
      this.list("mode", words.mode, [["direct", words.mode_direct], ["scan", words.mode_scan]]),
      this.number("dwell_ms", words.dwell_ms, 100),
      this.list("undo_gesture", words.undo_with, gestures),
      direct, scanning,
      this.tick("vibrate", words.vibrate), this.tick("large", words.large),
      el("p", "hint", words.kept_here), this.note,
      button("close", words.close, () => this.toggle(this.opener)));
    this.groups = { direct, scan: scanning };
    this.showGroups();
  }

  say(text) { write(this.note, text); }

  change(name, value) {
    this.settings = { ...this.settings, [name]: value };
    this.showGroups();
    this.onChange(this.settings);
  }

  showGroups() {
    for (const [mode, group] of Object.entries(this.groups)) group.hidden = this.settings.mode !== mode;
  }

  group(title, ...fields) {
    const box = el("fieldset");
    box.append(el("legend", "", title), ...fields);
    return box;
  }

  list(name, title, options) {
    return choice(title, options, this.settings[name], (value) => this.change(name, value));
  }

  number(name, title, step) {
    const [low, high] = RANGES[name];
    const box = el("label", "choice", title), input = el("input");
    Object.assign(input, { type: "number", min: low, max: high, step, value: this.settings[name] });
    input.onchange = () => {
      const value = Math.min(high, Math.max(low, Math.round(Number(input.value) || low)));
      input.value = value;
      this.change(name, value);
    };
    box.append(input);
    return box;
  }

  lines(name, title) {
    const box = el("label", "choice lines", title), input = el("textarea");
    input.rows = 4;
    input.value = this.settings[name].join("\n");
    input.onchange = () => this.change(name, input.value.split("\n").map((one) => one.trim()).filter(Boolean));
    box.append(input);
    return box;
  }

  tick(name, title) {
    const box = el("label", "choice tick"), input = el("input");
    input.type = "checkbox";
    input.checked = this.settings[name];
    input.onchange = () => this.change(name, input.checked);
    box.append(input, title);
    return box;
  }

  dispose() { this.box.removeEventListener("keydown", this.onKey); }
}

// The gestures of a bank in their order: search at once, drag or keys to reorder, one message for each new order.

const SEARCH_FROM = 8; // fewer are seen at a glance
const SEND_AFTER_MS = 350; // several steps by key are one order

function matches(row, wanted) {
  const text = `${row.name} ${row.description} ${row.phrase}`.toLocaleLowerCase();
  return wanted.toLocaleLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function moved(order, id, to) {
  const rest = order.filter((one) => one !== id);
  rest.splice(Math.max(0, Math.min(to, rest.length)), 0, id);
  return rest;
}

const el = (kind, name, text = "") => {
  const made = document.createElement(kind);
  if (name) made.className = name;
  made.textContent = text;
  return made;
};

const button = (name, sign, act) => {
  const made = el("button", name, sign);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
};

class GestureList {
  constructor(mount) {
    this.mount = mount;
    this.rows = new Map();
    this.order = [];
    this.search = el("div", "search");
    this.field = el("input");
    this.field.type = "search";
    this.field.placeholder = "Search gestures";
    this.field.setAttribute("aria-label", "Search gestures");
    this.field.addEventListener("input", () => this.filter());
    this.found = el("span", "found");
    this.found.setAttribute("role", "status");
    this.search.append(this.field, this.found);
    this.list = el("ol");
    this.list.setAttribute("aria-label", "Gestures in their order");
    this.hint = el("p", "hint", "To reorder: drag ⠿, use the arrows, or Alt with ↑ or ↓ on the keyboard.");
    this.said = el("div", "said");
    this.said.setAttribute("aria-live", "polite");
    mount.replaceChildren(this.search, this.hint, this.list, this.said);
  }

  update(data, tell) {
    this.data = data;
    this.tell = tell;
    const known = new Set(data.rows.map((row) => row.id));
    for (const [id, row] of this.rows) {
      if (known.has(id)) continue;
      row.item.remove();
      this.rows.delete(id);
    }
    for (const row of data.rows) this.fill(row);
    this.search.hidden = data.rows.length < SEARCH_FROM;
    this.hint.hidden = !data.editable || data.rows.length < 2;
    // What is being moved, or was moved and is not sent yet, stays where the viewer put it.
    const pending = this.dragging || this.timer;
    const kept = this.order.filter((id) => known.has(id));
    this.order = pending && kept.length === data.rows.length ? kept : data.rows.map((row) => row.id);
    this.arrange();
    this.filter();
  }

  fill(row) {
    let known = this.rows.get(row.id);
    if (!known) {
      known = this.build(row.id);
      this.rows.set(row.id, known);
    }
    known.row = row;
    const uri = row.picture < 0 ? "" : this.data.pictures[row.picture];
    if (known.uri !== uri) {
      known.uri = uri;
      known.picture.replaceChildren();
      if (uri) {
        const image = el("img");
        image.alt = "";
        image.loading = "lazy";
        image.src = uri;
        known.picture.append(image);
      }
    }
    if (!uri) known.picture.textContent = row.video ? "▶" : "";
    known.picture.title = row.video ? "has a video" : "";
    known.colour.style.background = row.colour;
    known.name.textContent = row.name;
    known.about.textContent = ` — ${row.description}`;
    known.recorded.textContent = [row.kind, row.recorded].filter(Boolean).map((part) => ` · ${part}`).join("");
    known.phrase.textContent = row.phrase ? `says “${row.phrase}”` : "";
    known.item.dataset.name = row.name;
    if (!known.handle) return;
    known.handle.setAttribute("aria-label", `Move ${row.name}: arrow keys`);
    known.up.setAttribute("aria-label", `Move ${row.name} up`);
    known.down.setAttribute("aria-label", `Move ${row.name} down`);
    known.edit.setAttribute("aria-label", `Edit ${row.name}`);
  }

  build(id) {
    const item = el("li");
    const made = { item, uri: null, picture: el("span", "picture"), colour: el("span", "colour") };
    const words = el("div", "words");
    Object.assign(made, { name: el("b"), about: el("span", "about"), recorded: el("span", "recorded") });
    made.phrase = el("div", "phrase");
    words.append(made.name, made.about, made.recorded, made.phrase);
    if (!this.data.editable) {
      item.append(made.picture, made.colour, words);
      return made;
    }
    made.handle = button("handle", "⠿", () => {});
    made.up = button("up", "↑", () => this.step(id, -1));
    made.down = button("down", "↓", () => this.step(id, 1));
    made.edit = button("edit", "Edit", () => this.tell("edit", { id }));
    const moves = el("span", "moves");
    moves.append(made.up, made.down);
    item.append(made.handle, made.picture, made.colour, words, moves, made.edit);
    item.addEventListener("keydown", (event) => this.key(event, id, event.target === made.handle));
    made.handle.addEventListener("pointerdown", (event) => this.begin(event, id));
    return made;
  }

  arrange() {
    const focused = this.mount.getRootNode().activeElement;
    let before = null;
    for (const id of this.order) {
      const { item } = this.rows.get(id);
      const follows = before ? before.nextSibling : this.list.firstChild;
      if (follows !== item) this.list.insertBefore(item, follows);
      before = item;
    }
    if (focused && this.mount.contains(focused)) focused.focus();
    this.mount.dataset.order = this.order.join(" ");
    this.able();
  }

  able() {
    const filtered = this.field.value.trim() !== "";
    this.order.forEach((id, index) => {
      const { handle, up, down } = this.rows.get(id);
      if (!handle) return;
      handle.disabled = filtered;
      // The focus would be lost on a button that is disabled under it.
      up.setAttribute("aria-disabled", String(index === 0));
      up.disabled = filtered || (index === 0 && up !== this.mount.getRootNode().activeElement);
      down.setAttribute("aria-disabled", String(index === this.order.length - 1));
      down.disabled = filtered
        || (index === this.order.length - 1 && down !== this.mount.getRootNode().activeElement);
    });
  }

  filter() {
    const wanted = this.search.hidden ? "" : this.field.value.trim();
    let n = 0;
    for (const { item, row } of this.rows.values()) {
      item.hidden = !matches(row, wanted);
      n += item.hidden ? 0 : 1;
    }
    this.found.textContent = wanted ? `${n} of ${this.rows.size}` : `${this.rows.size} gestures`;
    this.mount.dataset.shown = String(n);
    this.able();
  }

  key(event, id, onHandle) {
    const way = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const end = onHandle ? { Home: -Infinity, End: Infinity }[event.key] : undefined;
    if (event.ctrlKey || event.metaKey || (!event.altKey && !onHandle) || (way === undefined && end === undefined)) return;
    event.preventDefault();
    event.stopPropagation();
    if (this.field.value.trim() === "") this.step(id, way ?? end);
  }

  step(id, by) {
    const from = this.order.indexOf(id);
    const to = Math.max(0, Math.min(this.order.length - 1, from + by));
    if (from < 0 || to === from) return;
    this.place(id, to);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), SEND_AFTER_MS);
  }

  place(id, to) {
    this.order = moved(this.order, id, to);
    this.arrange();
    const { item, row } = this.rows.get(id);
    item.scrollIntoView({ block: "nearest" });
    this.said.textContent = `${row.name}: position ${to + 1} of ${this.order.length}`;
  }

  send() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.tell("order", { ids: this.order });
  }

  begin(event, id) {
    if (event.button !== 0 || this.dragging) return;
    const { item, handle } = this.rows.get(id);
    const before = [...this.order];
    this.dragging = true;
    item.classList.add("dragged");
    handle.setPointerCapture(event.pointerId);
    const follow = (moving) => {
      const others = this.order.filter((one) => one !== id);
      let to = others.findIndex((one) => {
        const box = this.rows.get(one).item.getBoundingClientRect();
        return moving.clientY < box.top + box.height / 2;
      });
      if (to < 0) to = others.length;
      if (to !== this.order.indexOf(id)) this.place(id, to);
    };
    const end = (kept) => {
      handle.removeEventListener("pointermove", follow);
      handle.removeEventListener("pointerup", drop);
      handle.removeEventListener("pointercancel", cancel);
      document.removeEventListener("keydown", escape, true);
      item.classList.remove("dragged");
      this.dragging = false;
      if (!kept) {
        this.order = before;
        this.arrange();
      } else if (before.join() !== this.order.join()) {
        this.send();
      }
    };
    const drop = () => end(true), cancel = () => end(false);
    const escape = (pressed) => {
      if (pressed.key === "Escape") cancel();
    };
    handle.addEventListener("pointermove", follow);
    handle.addEventListener("pointerup", drop);
    handle.addEventListener("pointercancel", cancel);
    document.addEventListener("keydown", escape, true);
  }

  leave() {
    if (this.timer) this.send();
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const mount = parentElement.querySelector(".semg-bank");
  const list = (mount.semgBank ||= new GestureList(mount));
  list.update(data, setTriggerValue);
  return () => list.leave();
}

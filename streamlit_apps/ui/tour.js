// A tour of some steps in the flow of the page. What was closed is kept in this browser, for each account.

const CLOSED = (account) => `semg-tour-closed-${account}`;
const AT = (account) => `semg-tour-at-${account}`;

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

// Whether the tour is to be seen: it was called since it was closed, or it is the first time.
const isOpen = (data, closedMs) => data.called_ms > (closedMs ?? 0) || (data.first && closedMs === null);

class Tour {
  constructor(mount) {
    this.mount = mount;
    this.title = element("h2", "title");
    this.title.id = "semg-tour-title";
    this.title.tabIndex = -1;
    this.text = element("p", "text");
    this.count = element("span", "count");
    this.back = this.button("Back", () => this.turn(-1));
    this.next = this.button("Next", () => this.turn(1));
    this.next.className = "primary";
    this.skip = this.button("Skip the tour", () => this.close());
    const box = element("section");
    box.setAttribute("aria-labelledby", this.title.id);
    const buttons = element("div", "buttons");
    buttons.append(this.count, this.back, this.next, this.skip);
    box.append(this.title, this.text, buttons);
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
    mount.replaceChildren(box);
  }

  button(label, act) {
    const made = element("button", "", label);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  }

  update(data) {
    this.data = data;
    const kept = localStorage.getItem(CLOSED(data.account));
    const open = isOpen(data, kept === null ? null : Number(kept));
    this.mount.hidden = !open;
    if (!open) return;
    const [calledMs, at] = (sessionStorage.getItem(AT(data.account)) || "0 0").split(" ").map(Number);
    const again = data.called_ms > calledMs;
    this.at = again ? 0 : Math.min(at, data.steps.length - 1);
    this.show();
    if (again) this.title.focus();
  }

  turn(by) {
    this.at += by;
    if (this.at >= this.data.steps.length) return void this.close();
    this.show();
    this.title.focus();
  }

  show() {
    const { steps } = this.data;
    const last = this.at === steps.length - 1;
    this.title.textContent = steps[this.at].title;
    this.text.textContent = steps[this.at].text;
    this.count.textContent = `${this.at + 1} of ${steps.length}`;
    this.back.disabled = this.at === 0;
    this.next.textContent = last ? "Done" : "Next";
    this.skip.hidden = last;
    this.mount.dataset.at = String(this.at + 1);
    sessionStorage.setItem(AT(this.data.account), `${this.data.called_ms} ${this.at}`);
  }

  close() {
    localStorage.setItem(CLOSED(this.data.account), String(Math.max(this.data.called_ms, 1)));
    sessionStorage.removeItem(AT(this.data.account));
    this.mount.hidden = true;
  }
}

export default function ({ parentElement, data }) {
  const mount = parentElement.querySelector(".semg-tour");
  mount.semgTour ??= new Tour(mount);
  mount.semgTour.update(data);
}

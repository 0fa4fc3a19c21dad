// What Streamlit leaves out for people who use a keyboard or a screen reader, and the app's own keys.
// Streamlit runs the default export again at every rerun; one watcher lives as long as the document.

const PRESSED_BY = "button, a[href], input, select, textarea, summary, [role=button], [role=switch], [role=radio], " +
  "[role=checkbox], [role=tab], [role=option], [role=slider], [role=combobox], [role=menuitem]";
const TYPED_IN = "input, textarea, select, [contenteditable]";
const NAMED = { " ": "space", ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" };

// A pressed key in the form in which keys are stored: modifiers first, in lower case.
const pressed = (event) => {
  const key = NAMED[event.key] || event.key.toLowerCase();
  if (["?", "+", "-"].includes(key) && !event.ctrlKey && !event.altKey) return key;  // Shift is part of the sign
  return [event.ctrlKey && "ctrl", event.altKey && "alt", event.shiftKey && "shift", key].filter(Boolean).join("+");
};

const set = (element, name, value) => { if (element.getAttribute(name) !== value) element.setAttribute(name, value); };

class Assistive {
  constructor() {
    // The last listener before those of Streamlit's shortcuts, which hang on the document.
    document.body.addEventListener("keydown", (event) => this.key(event));
    // A browser frames what was clicked into as soon as any key is pressed; a page is framed for who came by Tab.
    document.body.addEventListener("pointerdown", () => { this.clicks = true; }, true);
    document.body.addEventListener("keydown", () => { this.clicks = false; }, true);
    document.body.addEventListener("focusin", ({ target }) => {
      if (target.dataset?.testid === "stMain") target.toggleAttribute("data-clicked", Boolean(this.clicks));
    });
    this.watcher = new MutationObserver(() => this.soon());
    this.watcher.observe(document.body, { childList: true, subtree: true });
    this.soon();
  }

  soon() {
    if (this.waiting) return;
    this.waiting = setTimeout(() => { this.waiting = 0; this.mend(); }, 150);
  }

  update(data) {
    this.data = data;
    this.soon();
  }

  key(event) {
    if (event.metaKey || !this.data) return;
    const at = event.composedPath()[0];
    if (!(at instanceof Element)) return;
    const plain = !event.ctrlKey && !event.altKey;
    const typing = at.closest(TYPED_IN) && !at.matches("[type=checkbox], [type=radio], [type=button]");
    if (typing && plain) return;  // Streamlit lets them be as well
    const focused = at.closest(PRESSED_BY) !== null;
    const key = pressed(event);
    // A key that presses what has the focus presses nothing else; and Streamlit's own R (run again) and C (clear its
    // cache) cannot be switched off in any other way.
    if ((focused && plain && ["space", "enter"].includes(key)) || (plain && ["r", "c"].includes(key))) {
      event.stopPropagation();
      return;
    }
    for (const [action, wanted] of Object.entries(this.data.keys)) {
      if (wanted !== key || (event.repeat && !action.startsWith("review."))) continue;
      const told = new CustomEvent("semg-key", { cancelable: true, detail: { action, path: event.composedPath() } });
      document.dispatchEvent(told);
      if (action === "help.keys") document.querySelector(".st-key-keyboard-shortcuts button")?.click();
      if (told.defaultPrevented) event.preventDefault();
    }
  }

  mend() {
    const pages = document.querySelector(".st-key-pages");
    if (pages) {
      set(pages, "role", "navigation");
      set(pages, "aria-label", "Pages");
    }
    for (const box of document.querySelectorAll('[data-testid="stNumberInput"]')) {
      const name = box.querySelector("input")?.getAttribute("aria-label");
      if (!name) continue;
      const [less, more] = ["stNumberInputStepDown", "stNumberInputStepUp"].map((id) => box.querySelector(`[data-testid="${id}"]`));
      if (less) set(less, "aria-label", `Decrement ${name}`);
      if (more) set(more, "aria-label", `Increment ${name}`);
    }
    for (const grid of document.querySelectorAll('[data-testid="stDataFrame"] canvas [role="grid"]')) {
      const columns = [...grid.querySelectorAll('[role="columnheader"]')].map((one) => one.textContent.trim()).filter(Boolean);
      set(grid, "aria-label", `Table with the columns ${columns.join(", ")}`);
    }
    for (const plot of document.querySelectorAll(".js-plotly-plot")) {
      const name = plot.layout?.meta?.name;
      if (!name) continue;
      set(plot, "role", "figure");
      set(plot, "aria-label", name);
    }
  }
}

export default function ({ data }) {
  window.semgAssistive ||= new Assistive();
  window.semgAssistive.update(data);
}

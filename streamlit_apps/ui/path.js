// The steps from a person to live recognition: a list of links with their state as a sign and in words.
// Streamlit changes pages without loading the app anew; a link of ours would load it, so a click is told to the page.

const SIGNS = { done: "✓", busy: "◔", paused: "○", trouble: "!", open: "" };
const WORDS = { done: "done", busy: "under way", paused: "done before", trouble: "needs attention", open: "to do" };

const element = (name, className, text) => {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

// What a screen reader says of a step; parts of a link that are laid out side by side would be read with gaps.
const spoken = (step) => `${step.label}, ${WORDS[step.state]}: ${step.said}`;

const item = (step, number, go) => {
  const made = element("li", `${step.state}${step.current ? " current" : ""}`);
  const link = element("a");
  link.href = step.href;
  link.title = step.said;
  if (step.current) link.setAttribute("aria-current", "step");
  const sign = element("span", "sign", SIGNS[step.state] || String(number));
  sign.setAttribute("aria-hidden", "true");
  link.setAttribute("aria-label", spoken(step));
  link.append(sign, element("span", "label", step.label));
  if (step.state === "trouble") link.append(element("span", "why", step.said));
  link.addEventListener("click", (event) => {
    if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(step.key);
  });
  made.append(link);
  return made;
};

const draw = (mount, data, go) => {
  const drawn = JSON.stringify(data);
  mount.semgGo = go;
  if (mount.semgDrawn === drawn) return;  // what has the focus keeps it
  const held = [...mount.querySelectorAll("a")].indexOf(mount.getRootNode().activeElement);
  mount.semgDrawn = drawn;
  const nav = element("nav", data.folded ? "folded" : "");
  nav.setAttribute("aria-label", "The path to live recognition");
  const list = element("ol");
  list.append(...data.steps.map((step, index) => item(step, index + 1, (key) => mount.semgGo(key))));
  nav.append(list);
  mount.replaceChildren(nav);
  mount.dataset.done = String(data.steps.filter((step) => step.state === "done").length);
  if (held >= 0) mount.querySelectorAll("a")[held]?.focus();
};

// A page begins at its top, where its heading and its path are; else it is scrolled as the one before it was.
const begin = (page, here) => {
  if (page.semgPage && page.semgPage !== here)
    page.querySelector('[data-testid="stMain"]')?.scrollTo({ top: 0, behavior: "instant" });
  page.semgPage = here;
};

export default function ({ parentElement, data, setTriggerValue }) {
  begin(document, data.here);
  draw(parentElement.querySelector(".semg-path"), data, (key) => setTriggerValue("go", key));
}

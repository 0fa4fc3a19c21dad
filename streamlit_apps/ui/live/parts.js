// Small pieces that every part of the live views is made of.

export const el = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

// A button whose name says what it does, also to who cannot see it.
export const button = (className, text, onClick) => {
  const made = el("button", className, text);
  made.type = "button";
  made.onclick = onClick;
  return made;
};

// Text is written when it has changed only: a live region that is written again is read aloud again.
export const write = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

export const choice = (title, options, chosen, onChange) => {
  const box = el("label", "choice", title);
  const select = el("select");
  for (const [value, text] of options) {
    const option = el("option", "", text);
    option.value = value;
    option.selected = value === chosen;
    select.append(option);
  }
  select.setAttribute("aria-label", title);  // the label around it holds the options' texts too
  select.onchange = () => onChange(select.value);
  box.append(select);
  return box;
};

export const fill = (template, values) =>
  Object.entries(values).reduce((text, [name, value]) => text.split(`{${name}}`).join(String(value)), template);

export const quantile = (values, q) => {
  if (!values.length) return NaN;
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
};

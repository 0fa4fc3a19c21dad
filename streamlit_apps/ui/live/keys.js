// The shortcuts of Live, in one table: which key calls which action of a view.

export const SHORTCUTS = [
  { key: "p", action: "togglePause", says: "Pause the display, or resume" },
  { key: "s", action: "toggleSpeech", says: "Speak phrases, or stop speaking" },
];

export const keyOf = (action) => SHORTCUTS.find((one) => one.action === action).key.toUpperCase();

// Call what a key means, unless somebody types; return the action.
export const onShortcut = (event, view) => {
  const field = event.composedPath()[0];
  const typing = field instanceof Element && field.closest("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return null;
  const found = SHORTCUTS.find((one) => one.key === event.key);
  if (!found) return null;
  view[found.action]();
  return found.action;
};

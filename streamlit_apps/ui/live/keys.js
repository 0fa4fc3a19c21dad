// What the keys of Live call. Which keys those are, an account says (ui/shortcuts.py); assistive.js tells of them by the
// event "semg-key" of the document, unless somebody types.

const ACTS = { "live.pause": "togglePause", "live.speak": "toggleSpeech" };

// Call what a key means; return its act.
export const onShortcut = (event, view) => {
  const act = ACTS[event.detail.action];
  if (act === undefined) return null;
  view[act]();
  return act;
};

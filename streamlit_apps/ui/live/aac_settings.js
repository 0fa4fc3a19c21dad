// How a person says things by gestures: kept in this browser for each profile.

export const DEFAULTS = Object.freeze({
  mode: "direct", dwell_ms: 0, confirm: "none", confirm_gesture: "", confirm_s: 4, undo_gesture: "",
  scan_by: "time", step_gesture: "", select_gesture: "", scan_ms: 1500, columns: 3, phrases: [],
  speak: false, vibrate: false, large: false,
});
const CHOICES = { mode: ["direct", "scan"], confirm: ["none", "again", "gesture", "button"], scan_by: ["time", "gesture"] };
export const RANGES = { dwell_ms: [0, 5000], confirm_s: [1, 30], scan_ms: [300, 10000], columns: [1, 6] };
const MAX_PHRASES = 60, MAX_LENGTH = 200;

// Return settings that can be worked with, whatever was kept: each field as it should be, or its default.
export const cleaned = (kept) => {
  const made = { ...DEFAULTS, phrases: [] };
  if (kept === null || typeof kept !== "object") return made;
  for (const [name, first] of Object.entries(DEFAULTS)) {
    const value = kept[name];
    if (name in CHOICES) { if (CHOICES[name].includes(value)) made[name] = value; }
    else if (name in RANGES) {
      const [low, high] = RANGES[name];
      if (Number.isFinite(value)) made[name] = Math.min(high, Math.max(low, Math.round(value)));
    } else if (name === "phrases") {
      if (Array.isArray(value)) {
        made.phrases = value.filter((text) => typeof text === "string" && text.trim())
          .slice(0, MAX_PHRASES).map((text) => text.slice(0, MAX_LENGTH));
      }
    } else if (typeof value === typeof first) made[name] = value;
  }
  return made;
};

// A browser that keeps nothing (a private window, a full disk) begins with the defaults each time.
export const remembered = (name) => {
  try { return JSON.parse(localStorage.getItem(name)); } catch (error) { return null; }
};

export const remember = (name, value) => {
  try { localStorage.setItem(name, JSON.stringify(value)); return true; } catch (error) { return false; }
};

export const settingsKey = (userId) => `semg-live-${userId}`;

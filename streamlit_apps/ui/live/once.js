// A short gesture is decided in one message, and what follows is rest again: it is shown for a while.

export const ONCE_MS = 1200;

// Which decision is shown when another has come at `now`: `{message, at}`, of what was shown before and the new one.
export const shownNext = (before, message, now) =>
  before && before.message.once && !message.once && now - before.at < ONCE_MS ? before : { message, at: now };

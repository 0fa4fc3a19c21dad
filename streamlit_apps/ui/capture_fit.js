// Lowers the scale of what a box shows until it fits: sizes in its style sheet are multiples of --fit, the largest word's
// of --word too.

const LEAST = 0.2, LEAST_WORD = 0.45, STEP = 0.94;

const isWide = (element) => element.scrollWidth > element.clientWidth + 1;
const isHigh = (element) => element.scrollHeight > element.clientHeight + 1;

// Sets a scale of a box to the first value from 1 down at which nothing is wrong; returns whether there was one.
const lower = (box, scale, least, isWrong) => {
  for (let value = 1; value >= least; value *= STEP) {
    box.style.setProperty(scale, value.toFixed(3));
    if (!isWrong()) return true;
  }
  return false;
};

// Shows all of what a box holds, as large as it fits: what must not be wider and what not higher than its place is
// named. Words stay whole, the largest by itself smaller where it is long; only where that would make everything tiny,
// the class "breaking" lets them break. A line of text is no place: its letters may be higher than it.
export const fit = (box, word, wide, high) => {
  const isCut = () => isWide(word) || wide.some(isWide) || high.some(isHigh);
  box.classList.remove("breaking");
  box.style.setProperty("--fit", "1");
  lower(box, "--word", LEAST_WORD, () => isWide(word));
  if (lower(box, "--fit", LEAST_WORD, isCut)) return;
  box.classList.add("breaking");
  lower(box, "--fit", LEAST, isCut);
};

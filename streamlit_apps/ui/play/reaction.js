// Figures of a reaction test: what semg/play/reaction.py computes and stores, for the eye at once.

const MIN_TRIALS = 5;

// A quantile of values in order, by linear interpolation; null for no values.
export const interpolated = (ordered, share) => {
  if (!ordered.length) return null;
  const position = share * (ordered.length - 1), below = Math.floor(position);
  const above = Math.min(below + 1, ordered.length - 1);
  return ordered[below] + (position - below) * (ordered[above] - ordered[below]);
};

export const reactionFigures = (trials) => {
  if (trials.length < MIN_TRIALS) return null;
  const times = trials.map((one) => one.ms).filter((ms) => ms !== null).sort((a, b) => a - b);
  const [q1, median, q3] = [0.25, 0.5, 0.75].map((share) => interpolated(times, share));
  return {
    median_ms: median, q1_ms: q1, q3_ms: q3, iqr_ms: q1 === null ? null : q3 - q1,
    trials: trials.length, answered: times.length, missed: trials.length - times.length,
    wrong_first: trials.filter((one) => one.first !== null && one.first !== one.gesture).length,
    early: trials.reduce((sum, one) => sum + one.early, 0),
  };
};

// Figures of a Fitts' law test after ISO/TS 9241-411: what semg/play/fitts.py computes and stores, for the eye at once.

export const MIN_SELECTIONS = 5;
const WIDTH_OF_SD = 4.133;  // sqrt(2 pi e): the middle 96 % of a normal distribution

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

const deviation = (values) => {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
};

const distance = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);

// The way between two points along the axis of a trial's task: from the target before to this one.
const along = (trial, since, until) => {
  const axis = [trial.target[0] - trial.origin[0], trial.target[1] - trial.origin[1]];
  return ((until[0] - since[0]) * axis[0] + (until[1] - since[1]) * axis[1]) / Math.hypot(axis[0], axis[1]);
};

export const isHit = (trial, width) => trial.selected && distance(trial.end, trial.target) <= width / 2;

// Null for what cannot be measured: fewer than five selections, or no movement.
export const sequenceFigures = ({ amplitude, width, trials }, dwellMs) => {
  const done = trials.filter((one) => one.selected);
  if (done.length < MIN_SELECTIONS) return null;
  const errors = done.map((one) => along(one, one.target, one.end));
  const covered = mean(done.map((one) => along(one, one.start, one.end)));
  const effectiveWidth = WIDTH_OF_SD * deviation(errors);
  const movementS = mean(done.map((one) => Math.max(0, one.ms - dwellMs))) / 1000;
  if (!(covered > 0 && movementS > 0 && effectiveWidth > 0)) return null;
  const effectiveIndex = Math.log2(covered / effectiveWidth + 1);
  return {
    amplitude, width, index: Math.log2(amplitude / width + 1), effective_amplitude: covered,
    effective_width: effectiveWidth, effective_index: effectiveIndex, movement_s: movementS,
    throughput: effectiveIndex / movementS, trials: trials.length,
    errors: trials.filter((one) => !isHit(one, width)).length,
  };
};

export const fittsFigures = (sequences, dwellMs) => {
  const each = sequences.map((one) => sequenceFigures(one, dwellMs));
  const trials = sequences.flatMap((one) => one.trials);
  const moved = trials.filter((one) => one.selected && one.travelled > 0);
  if (!each.length || each.includes(null) || !moved.length) return null;
  return {
    throughput: mean(each.map((one) => one.throughput)),
    movement_s: mean(each.map((one) => one.movement_s)),
    error_rate: each.reduce((sum, one) => sum + one.errors, 0) / trials.length,
    path_efficiency: mean(moved.map((one) => Math.min(1, distance(one.start, one.end) / one.travelled))),
    overshoots: mean(trials.map((one) => one.overshoots)),
    trials: trials.length,
    sequences: each,
  };
};

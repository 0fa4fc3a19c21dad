"""A seeded synthetic forearm: signals with the structure of surface EMG, for demos, load and tests.

Muscles lie around the forearm; a gesture is a pattern of their activations. Each muscle emits band-limited noise
with an amplitude envelope, and reaches every electrode by the distance between them around the arm. A session
rotates the band a little, changes each electrode's gain, tires the muscles, and adds mains hum, baseline drift and
noise before the converter clips and quantises. It is a model of the difficulties of the task, not of physiology.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from semg.domain import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, REST, CapturePlan, PlanStep, Sensor
from semg.signals.synthetic_gestures import (
    ACTIVATIONS,
    COURSES,
    DURATION_SPREAD,
    LEVELS,
    N_MUSCLES,
    SAME_AS,
    plain_name,
)

DEFAULT_GESTURES = (REST, "fist", "open_hand", "flexion", "extension", "pinch")
RAMP_S = 0.08
"""Time constant of the rise and fall of an activation."""
REACTION_S = (0.2, 0.4)
"""A hand follows its prompt after this long, and so runs behind its label."""
_INTERNAL_RATE_HZ = 500.0
_BLOCK = 4096


HUM_MOST = 1.2
"""Amplitude of the strongest hum, where a firm contraction has an RMS of about 1."""
HUM_OFF_HZ = 0.12
"""Power lines wander by some tenths of a hertz."""
LOOSE_HUM, LOOSE_NOISE = 1.1, 0.3
"""Amplitude of the hum and RMS of the noise that an electrode without contact picks up."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with a band.

    Attributes
    ----------
    rotation
        Around the arm, in distances between two electrodes.
    loose_channel
        Index of an electrode without contact; ``loose_flat``: its wire is off, so that it shows a constant.
    hum
        Of the power line, 0 to 1.
    """

    rotation: float = 0.0
    loose_channel: int | None = None
    loose_flat: bool = False
    hum: float = 0.0


@dataclass(frozen=True, slots=True)
class SyntheticSession:
    """Samples with the gestures that the person was prompted to perform.

    Attributes
    ----------
    samples
        Float32 ``(n, C)``, whole ADC counts.
    device_ms
        Int64 ``(n,)``, whole milliseconds of the device's clock.
    gestures
        ``(n,)`` of str: the prompt at each sample, empty where there was none.
    repetitions
        Int64 ``(n,)``.
    """

    samples: NDArray[np.float32]
    device_ms: NDArray[np.int64]
    gestures: NDArray[np.str_]
    repetitions: NDArray[np.int64]


def make_plan(gestures: Sequence[str] = DEFAULT_GESTURES, repetitions: int = 5, seconds: float = 3.0) -> CapturePlan:
    """Return a plan in which all gestures follow each other ``repetitions`` times."""
    names = [(gesture, number) for number in range(1, repetitions + 1) for gesture in gestures]
    return CapturePlan(
        tuple(
            PlanStep(gesture, number, index * seconds, (index + 1) * seconds)
            for index, (gesture, number) in enumerate(names)
        )
    )


class SyntheticArm:
    """A person's forearm with a band of electrodes.

    Parameters
    ----------
    seed
        Determines the person: positions and strengths of the muscles, and the performance of gestures.
    channels
        Electrodes around the arm, 1 to 16.
    rate_hz
        50 to 2000.
    sensor
        ``raw`` yields EMG around the middle of the converter's range, ``envelope`` a rectified and smoothed one.
    adc_min, adc_max
        Range of the converter; values are rounded and clipped to it.
    mains_hz
        Frequency of the hum, 0 for none.
    gestures
        Names; see ``pattern``.
    """

    def __init__(
        self,
        seed: int = 0,
        channels: int = 8,
        rate_hz: float = 200.0,
        sensor: Sensor = "raw",
        adc_min: float = 0.0,
        adc_max: float = 4095.0,
        mains_hz: float = 50.0,
        gestures: Sequence[str] = DEFAULT_GESTURES,
    ) -> None:
        if not 1 <= channels <= MAX_CHANNELS:
            raise ValueError(f"channels must lie between 1 and {MAX_CHANNELS}, got {channels}")
        if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
            raise ValueError(f"rate_hz must lie between {MIN_RATE_HZ:g} and {MAX_RATE_HZ:g}, got {rate_hz:g}")
        if not adc_min < adc_max:
            raise ValueError(f"adc_max must be above adc_min, got {adc_min:g} and {adc_max:g}")
        self.seed, self.channels, self.rate_hz, self.sensor = seed, channels, rate_hz, sensor
        self.adc_min, self.adc_max, self.mains_hz = adc_min, adc_max, mains_hz
        self.gestures = tuple(gestures)
        rng = np.random.default_rng([seed, 1])
        spread = 2 * np.pi / N_MUSCLES
        self.muscle_angle = np.arange(N_MUSCLES) * spread + rng.normal(0, 0.15 * spread, N_MUSCLES)
        self.muscle_width = rng.uniform(0.45, 0.75, N_MUSCLES)
        self.muscle_gain = np.exp(rng.normal(0, 0.2, N_MUSCLES))
        self.patterns = {name: self.pattern(name) for name in self.gestures}

    def pattern(self, gesture: str) -> NDArray[np.float64]:
        """Return the activations of a gesture, ``(N_MUSCLES,)``: typical ones with personal variation.

        A name without an entry in ``ACTIVATIONS`` gets a pattern of its own: the same muscles for everybody, as far
        from those of another name as two random orders of strong and weak ones are.
        """
        name = plain_name(gesture)
        known = ACTIVATIONS.get(SAME_AS.get(name, name))
        own = np.random.default_rng(zlib.crc32(name.encode())).permutation(LEVELS)
        usual = np.array(known) if known else own
        rng = np.random.default_rng([self.seed, 2, zlib.crc32(gesture.encode())])
        return np.asarray(usual * np.exp(rng.normal(0, 0.15, N_MUSCLES)))

    def course(self, gesture: str) -> list[tuple[float, NDArray[np.float64] | None]]:
        """Return how long, in seconds, each activation ``(N_MUSCLES,)`` of a short gesture lasts; None is rest.

        Empty for a gesture that is held; with personal variation as ``pattern``.
        """
        own = np.random.default_rng([self.seed, 2, zlib.crc32(gesture.encode())]).normal(0, 0.15, N_MUSCLES)
        return [
            (seconds, None if levels == ACTIVATIONS[REST] else np.array(levels) * np.exp(own))
            for seconds, levels in COURSES.get(plain_name(gesture), ())
        ]

    def session(self, index: int = 1, plan: CapturePlan | None = None) -> SyntheticSession:
        """Return a whole session.

        Parameters
        ----------
        index
            Which sitting of this person: another placement of the band, another day.
        plan
            The prompts; by default ``make_plan`` of this arm's gestures.
        """
        plan = plan or make_plan(self.gestures)
        wearing = Wearing(self, index, fatigue_s=max(60.0, plan.duration_s))
        chunks = [wearing.perform(step) for step in _steps_with_pauses(plan)]
        return SyntheticSession(
            np.concatenate([part.samples for part in chunks]),
            np.concatenate([part.device_ms for part in chunks]),
            np.concatenate([part.gestures for part in chunks]),
            np.concatenate([part.repetitions for part in chunks]),
        )

    def stream(
        self, index: int = 3, plan: CapturePlan | None = None, chunk_samples: int = 10, start_ms: int = 0
    ) -> Iterator[SyntheticSession]:
        """Yield an endless session in chunks, with the plan repeated; time and repetition numbers continue.

        Parameters
        ----------
        index, plan
            As for ``session``; the signal of a sitting differs between ``stream`` and ``session`` only in length.
        chunk_samples
            Samples of a chunk; the last one of a prompt may be shorter.
        start_ms
            Device time of the first sample.
        """
        plan = plan or make_plan(self.gestures, repetitions=1)
        numbers = max((step.number for step in plan.steps), default=0)
        wearing = Wearing(self, index, fatigue_s=600.0, start_ms=start_ms)
        lap = 0
        while True:
            for step in _steps_with_pauses(plan):
                number = step.number + lap * numbers
                moved = PlanStep(step.gesture, number, step.start_s, step.end_s)
                whole = wearing.perform(moved)
                for start in range(0, len(whole.samples), chunk_samples):
                    part = slice(start, start + chunk_samples)
                    yield SyntheticSession(
                        whole.samples[part], whole.device_ms[part], whole.gestures[part], whole.repetitions[part]
                    )
            lap += 1


def _steps_with_pauses(plan: CapturePlan) -> list[PlanStep]:
    """Return the steps with the intervals between them as steps without a gesture."""
    steps: list[PlanStep] = []
    at_s = 0.0
    for step in plan.steps:
        if step.start_s > at_s:
            steps.append(PlanStep(None, 0, at_s, step.start_s))
        steps.append(step)
        at_s = step.end_s
    return steps


class Wearing:
    """One placement of the band, with the state of every filter, so that prompts join without a step."""

    def __init__(self, arm: SyntheticArm, index: int, fatigue_s: float, start_ms: int = 0) -> None:
        self.arm, self.fatigue_s, self.start_ms = arm, fatigue_s, start_ms
        self.rng = np.random.default_rng([arm.seed, 3, index])
        self.done = 0
        # An envelope is made of EMG far above the rate at which the sensor board is read.
        self.times = max(1, int(np.ceil(_INTERNAL_RATE_HZ / arm.rate_hz))) if arm.sensor == "envelope" else 1
        self.inner_hz = arm.rate_hz * self.times
        turned = self.rng.normal(0, np.deg2rad(7.0))
        self.angle = 2 * np.pi * np.arange(arm.channels) / max(arm.channels, 3) + turned
        self.electrode_gain = np.exp(self.rng.normal(0, 0.12, (arm.channels, 1)))
        self.rotation, self.mixing = 0.0, self._mix(0.0)
        top_hz = min(150.0, 0.45 * self.inner_hz)
        self.band = signal.butter(2, [min(20.0, 0.4 * top_hz), top_hz], "bandpass", fs=self.inner_hz, output="sos")
        self.band_state = np.zeros((len(self.band), 2, N_MUSCLES))
        response = signal.sosfreqz(self.band, 512)[1]
        self.band_gain = 1.0 / np.sqrt(np.mean(np.abs(response) ** 2))
        self.ramp = np.exp(-1.0 / (RAMP_S * self.inner_hz))
        self.activation = arm.patterns.get(REST, np.full(N_MUSCLES, 0.02)).copy()
        self.target = self.activation.copy()
        self.wander = np.zeros(N_MUSCLES)
        self.drift = np.zeros(arm.channels)
        self.hum_gain = self.rng.uniform(0.004, 0.02, arm.channels)
        self.hum_phase = self.rng.uniform(0, 2 * np.pi, arm.channels)
        self.smooth = signal.butter(2, min(4.0, 0.2 * arm.rate_hz), "lowpass", fs=self.inner_hz, output="sos")
        self.smooth_state = np.zeros((len(self.smooth), 2, arm.channels))

    def perform(self, step: PlanStep) -> SyntheticSession:
        """Return the samples of one prompt."""
        arm = self.arm
        n = round((step.end_s - step.start_s) * arm.rate_hz)
        name = step.gesture or ""
        pattern = arm.patterns.get(step.gesture or REST)
        if pattern is None:
            pattern = arm.pattern(step.gesture or REST)
        if plain_name(name) in COURSES:
            return self._labelled(step, self._perform_once(name, n))
        force = np.exp(self.rng.normal(0, 0.4))
        wanted = pattern * force * np.exp(self.rng.normal(0, 0.2, N_MUSCLES))
        reaction = round(self.rng.uniform(*REACTION_S) * self.inner_hz)
        chunks, made = [], 0
        while made < n:
            count = min(n - made, _BLOCK)
            chunks.append(self.make(count, self.target, wanted, reaction - made * self.times))
            made += count
        self.target = wanted
        return self._labelled(step, np.concatenate(chunks) if chunks else np.empty((0, arm.channels), np.float32))

    def _labelled(self, step: PlanStep, samples: NDArray[np.float32]) -> SyntheticSession:
        """Return the samples just made as those of a prompt."""
        n = len(samples)
        device_ms = self.start_ms + np.rint(np.arange(self.done - n, self.done) * 1000.0 / self.arm.rate_hz)
        return SyntheticSession(
            samples, device_ms.astype(np.int64), np.full(n, step.gesture or ""), np.full(n, step.number, np.int64)
        )

    def _perform_once(self, gesture: str, n: int) -> NDArray[np.float32]:
        """Return ``n`` samples in which a short dynamic gesture is performed once, from rest to rest."""
        arm, rest = self.arm, self.arm.pattern(REST)
        trial = np.exp(self.rng.normal(0, 0.2, N_MUSCLES) + self.rng.normal(0, 0.3))
        edges = [self.rng.uniform(*REACTION_S)]
        goals = [self.target]
        for seconds, levels in arm.course(gesture):
            edges.append(edges[-1] + seconds * np.exp(self.rng.normal(0, DURATION_SPREAD)))
            goals.append(rest if levels is None else levels * trial)
        ends = [min(n, round(edge * arm.rate_hz)) for edge in edges] + [n]
        self.target = rest
        chunks, made = [np.empty((0, arm.channels), np.float32)], 0
        for end, goal in zip(ends, [*goals, rest], strict=True):
            while made < end:
                count = min(end - made, _BLOCK)
                chunks.append(self.make(count, goal, goal, 0))
                made += count
        return np.concatenate(chunks)

    def make(
        self,
        count: int,
        before: NDArray[np.float64],
        wanted: NDArray[np.float64],
        reaction: int,
        faults: Faults | None = None,
    ) -> NDArray[np.float32]:
        """Return the next ``count`` samples, ``(count, C)``.

        The activation goes to ``before``, and after ``reaction`` inner samples (``times`` for each sample) to
        ``wanted``; both ``(N_MUSCLES,)``.
        """
        n = count * self.times
        target = np.where((np.arange(n) >= reaction)[:, None], wanted, before)
        activation, _ = signal.lfilter(
            [1 - self.ramp], [1, -self.ramp], target, axis=0, zi=(self.ramp * self.activation)[None]
        )
        self.activation = activation[-1]
        seconds = (self.done * self.times + np.arange(n)) / self.inner_hz
        raw, self.band_state = signal.sosfilt(
            self.band, self.rng.standard_normal((n, N_MUSCLES)) * self.band_gain, axis=0, zi=self.band_state
        )
        tired = np.minimum(1.0, seconds / self.fatigue_s)[:, None]
        wander = self._walk("wander", n, 0.15, 0.5)
        if faults is not None and faults.rotation != self.rotation:
            self.rotation, self.mixing = faults.rotation, self._mix(faults.rotation)
        emg = (raw * activation * (1 + 0.2 * tired) * np.exp(wander)) @ self.mixing.T
        emg += self.rng.normal(0, 0.012, emg.shape)
        self.done += count
        if faults is not None:
            self._spoil(emg, seconds, faults)
        if self.arm.sensor == "envelope":
            return self._flattened(self._to_adc(self._envelope(emg), offset=0.03, scale=0.5), faults)
        emg += self._walk("drift", n, 0.03, 4.0)
        if self.arm.mains_hz > 0:
            emg += self.hum_gain * np.sin(2 * np.pi * self.arm.mains_hz * seconds[:, None] + self.hum_phase)
        return self._flattened(self._to_adc(emg, offset=0.5, scale=0.12), faults)

    def _mix(self, rotation: float) -> NDArray[np.float64]:
        """Return how far each muscle reaches each electrode, ``(C, N_MUSCLES)``, with the band rotated."""
        arm = self.arm
        angle = self.angle + rotation * 2 * np.pi / max(arm.channels, 3)
        angle_difference = np.angle(np.exp(1j * (angle[:, None] - arm.muscle_angle[None, :])))
        reach = np.exp(-0.5 * (angle_difference / arm.muscle_width) ** 2) + 0.06
        return np.asarray(reach * arm.muscle_gain * self.electrode_gain)

    def _spoil(self, emg: NDArray[np.float64], seconds: NDArray[np.float64], faults: Faults) -> None:
        """Add the hum to all electrodes, in place, and let the loose one pick up hum and noise only."""
        mains_hz = self.arm.mains_hz or 50.0
        wave = np.sin(2 * np.pi * (mains_hz + HUM_OFF_HZ) * seconds)
        if faults.hum > 0:
            emg += HUM_MOST * faults.hum * (self.hum_gain / self.hum_gain.mean()) * wave[:, None]
        loose = faults.loose_channel
        if loose is not None and loose < emg.shape[1]:
            emg[:, loose] = LOOSE_HUM * wave + LOOSE_NOISE * self.rng.standard_normal(len(emg))

    def _flattened(self, counts: NDArray[np.float32], faults: Faults | None) -> NDArray[np.float32]:
        """Return the samples with the loose electrode constant, where its wire is off."""
        if faults is not None and faults.loose_flat and faults.loose_channel is not None:
            middle = np.rint((self.arm.adc_min + self.arm.adc_max) / 2)
            counts[:, faults.loose_channel : faults.loose_channel + 1] = middle
        return counts

    def _walk(self, name: str, n: int, spread: float, time_s: float) -> NDArray[np.float64]:
        """Return the next values of a slow random process of given spread and correlation time, ``(n, …)``."""
        state: NDArray[np.float64] = getattr(self, name)
        keep = np.exp(-1.0 / (time_s * self.inner_hz))
        kicks = self.rng.standard_normal((n, len(state))) * spread * np.sqrt(1 - keep**2)
        walked, _ = signal.lfilter([1.0], [1, -keep], kicks, axis=0, zi=(keep * state)[None])
        setattr(self, name, walked[-1])
        return np.asarray(walked)

    def _envelope(self, emg: NDArray[np.float64]) -> NDArray[np.float64]:
        smooth, self.smooth_state = signal.sosfilt(self.smooth, np.abs(emg), axis=0, zi=self.smooth_state)
        return np.asarray(np.maximum(smooth[self.times - 1 :: self.times], 0.0))

    def _to_adc(self, volts: NDArray[np.float64], offset: float, scale: float) -> NDArray[np.float32]:
        arm = self.arm
        span = arm.adc_max - arm.adc_min
        counts = np.rint(arm.adc_min + span * (offset + scale * volts))
        return np.asarray(np.clip(counts, arm.adc_min, arm.adc_max), dtype=np.float32)

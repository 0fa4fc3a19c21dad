"""Data exchanged between the layers: frozen dataclasses, without behaviour beyond derived values.

Time bases: ``*_us`` of a device counts from the device's boot (or the epoch, if the device knows it); ``*_at`` is
aware UTC; ``received_us`` and ``server_us`` count microseconds from the Unix epoch on the server's clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from semg.consent_types import Consent

Sensor = Literal["raw", "envelope"]
VideoStatus = Literal["recording", "ready", "failed"]
JobStatus = Literal["scheduled", "in-progress", "completed", "failed", "canceled"]
SessionOrigin = Literal["capture", "import", "taught"]
SessionStatus = Literal["recording", "completed", "aborted"]
ClassifierKind = Literal["cnn", "logcov_lda", "td_lda"]
GestureKind = Literal["held", "dynamic"]

REST = "rest"
MAX_CHANNELS = 16
MIN_RATE_HZ, MAX_RATE_HZ = 50.0, 2000.0
MAX_OVERLAP = 25
"""Windows that one sample may be in, as in 250 ms every 10 ms: it bounds what a stream costs to decide on, and the
memory that its windows take."""


def utc_from_us(us: int) -> datetime:
    """Return the aware UTC time of microseconds since the epoch."""
    return datetime.fromtimestamp(us / 1e6, tz=UTC)


def us_from_utc(at: datetime) -> int:
    """Return microseconds since the epoch of an aware time."""
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


@dataclass(frozen=True, slots=True)
class Device:
    """The sensor that a profile wears.

    Attributes
    ----------
    channels
        Channel names in the order of the datagram's columns.
    rate_hz
        Nominal sampling rate.
    sensor
        ``raw`` EMG, or the ``envelope`` that a sensor board has already rectified and smoothed.
    adc_min, adc_max
        Range of the values; quality checks call values at its ends saturated.
    mains_hz
        Frequency of the power line: 50, 60, or 0 for none.
    allow_v1
        Whether unauthenticated text datagrams are accepted for the profile.
    consented
        Whether the person agrees to being recorded; else nothing that the device sends is taken.
    """

    user_id: int
    channels: tuple[str, ...]
    rate_hz: float
    sensor: Sensor = "raw"
    adc_min: float = 0.0
    adc_max: float = 4095.0
    mains_hz: float = 50.0
    allow_v1: bool = False
    consented: bool = True

    @property
    def n_channels(self) -> int:
        """Number of channels of a sample."""
        return len(self.channels)


@dataclass(frozen=True, slots=True)
class HighWaterMark:
    """High-water mark of a board: its newest boot, and the device time of that boot's newest datagram."""

    boot_id: int
    device_us: int


NEVER_SENT = HighWaterMark(-1, -1)


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive samples of one profile, within one segment and without a gap.

    Attributes
    ----------
    segment_id
        A device boot (or a wrap of its 32-bit counter) as the server's µs at its first sample; it grows for a profile.
    starts_run
        True when a boot, a wrap or a gap lies before the samples; conditioning is reset there, live and offline.
    late
        True for samples that later ones have overtaken: stored and shown, never used in a window.
    device_us
        int64 ``(n,)``, the device's clock.
    received_us
        int64 ``(n,)``, arrival at the server.
    clock_offset_us
        ``server_us = device_us + clock_offset_us``: the robust fit at this block.
    samples
        float32 ``(n, n_channels)``.
    """

    user_id: int
    segment_id: int
    starts_run: bool
    late: bool
    clock_offset_us: int
    device_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    samples: NDArray[np.float32]

    @property
    def n_samples(self) -> int:
        """Number of samples of the block."""
        return int(self.samples.shape[0])

    @property
    def server_us(self) -> NDArray[np.int64]:
        """Server time of each sample, int64 ``(n,)``."""
        return self.device_us + self.clock_offset_us


@dataclass(frozen=True, slots=True)
class WindowSpec:
    """How a stream is cut into windows. Durations in ms; samples only through the ``*_samples`` properties."""

    rate_hz: float
    window_ms: float = 250.0
    hop_ms: float = 50.0
    settle_ms: float = 100.0

    @property
    def window_samples(self) -> int:
        """Samples in a window."""
        return max(1, round(self.window_ms * self.rate_hz / 1000))

    @property
    def hop_samples(self) -> int:
        """Samples between two window starts."""
        return max(1, round(self.hop_ms * self.rate_hz / 1000))

    @property
    def settle_samples(self) -> int:
        """Samples after a reset of the conditioning that belong to no window."""
        return max(0, round(self.settle_ms * self.rate_hz / 1000))


@dataclass(frozen=True, slots=True)
class ConditioningSpec:
    """How raw values are conditioned before windows are cut; see ``semg.signals.conditioning``."""

    sensor: Sensor
    rate_hz: float
    mains_hz: float = 50.0
    high_pass_hz: float = 10.0  # 20 costs 0.1 points on real recordings; see docs/recognition.md


@dataclass(frozen=True, slots=True)
class DecisionSpec:
    """How predictions become decisions: majority vote over ``vote_n`` windows, then rejection, with hysteresis.

    Attributes
    ----------
    min_confidence
        A label continues while its mean probability over these windows reaches this.
    hysteresis
        A label that begins must exceed ``min_confidence`` by this fraction of the distance to 1.
    """

    vote_n: int = 3
    min_confidence: float = 0.4
    hysteresis: float = 0.1

    @property
    def begin_confidence(self) -> float:
        """Mean probability that a label must reach to begin."""
        return self.min_confidence + self.hysteresis * (1.0 - self.min_confidence)


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision on what a person performs.

    ``label`` is None when the vote was rejected, with the ``confidence`` that was too low. While somebody watches:
    ``probabilities``, each label's mean in the vote, and ``needed``, what a new label has to reach. ``once``: the
    label is a short dynamic gesture, and this the one decision on its performance.
    """

    user_id: int
    label: str | None
    confidence: float
    model_version: int
    window_end_device_us: int
    window_end_us: int
    received_us: int
    decided_us: int
    probabilities: dict[str, float] | None = None
    needed: float | None = None
    once: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """A person whose muscles are recorded.

    ``channels_used`` None means all; ``channel_purposes`` is by channel; ``language`` is what the person reads.
    ``notes`` are only those of a profile that was read by itself: lists carry none.
    """

    user_id: int
    name: str
    handedness: str | None
    notes: str
    channels_used: tuple[str, ...] | None
    created_at: datetime
    device: Device
    decision: DecisionSpec
    channel_purposes: dict[str, str] = field(default_factory=dict)
    consent: Consent | None = None
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gesture:
    """What a person wants recognised; ``rest`` is always one of them.

    ``phrase`` is what the live page says when it is recognised, empty for nothing; ``prompt_type`` is the media type of
    the picture or video that shows it, None without one. ``kind``: a posture that is held, or a short dynamic gesture
    (a snap, a double tap), which is performed once and recognised once a performance.
    """

    gesture_id: int
    user_id: int
    name: str
    description: str
    position: int
    phrase: str = ""
    prompt_type: str | None = None
    kind: GestureKind = "held"


@dataclass(frozen=True, slots=True)
class Session:
    """One sitting with one placement of the electrodes.

    ``origin`` is ``capture`` (samples of the live stream in the session's time), ``taught`` (likewise, labelled
    afterwards) or ``import`` (samples of a file, with the session's id). The device's properties are of that time.
    ``simulated``: they came from a simulated arm, not from a person's muscles. ``plan`` is only that of a session that
    was read by itself: lists carry none.
    """

    session_id: int
    user_id: int
    name: str
    origin: SessionOrigin
    status: SessionStatus
    started_at: datetime
    ended_at: datetime | None
    channels: tuple[str, ...]
    rate_hz: float
    sensor: Sensor
    mains_hz: float
    plan: CapturePlan | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """One performance of a gesture inside a session, from ``started_at`` until before ``ended_at``.

    ``dynamic``: the gesture is a short dynamic one now, so that the interval holds it and rest around it.
    """

    repetition_id: int
    session_id: int
    gesture: str
    number: int
    started_at: datetime
    ended_at: datetime
    excluded: bool = False
    exclude_reason: str = ""
    dynamic: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """The webcam video of a session.

    Attributes
    ----------
    problem
        What went wrong or was cut short, as a sentence; empty when nothing did.
    started_at, ended_at
        Server time of the first frame and of the last; the file's own time counts from the first.
    time_error_us
        Error bound of the frames' server times; None when the browser sent too few clock reports.
    """

    session_id: int
    status: VideoStatus
    problem: str
    started_at: datetime | None
    ended_at: datetime | None
    frames: int
    n_bytes: int
    width: int | None
    height: int | None
    time_error_us: int | None


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One interval of a capture plan; times count from the session's start. No gesture: preparation, or a pause.

    ``dropped``: it was interrupted or is performed again, and has no label.
    """

    gesture: str | None
    number: int
    start_s: float
    end_s: float
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class CapturePlan:
    """The prompted intervals of a session, in time order; after ``paused_s``, when it was paused, provisional ones."""

    steps: tuple[PlanStep, ...]
    paused_s: float | None = None

    @property
    def duration_s(self) -> float:
        """Length of the whole plan."""
        return self.steps[-1].end_s if self.steps else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training run."""

    job_id: int
    user_id: int
    session_ids: tuple[int, ...]
    classifier: ClassifierKind
    options: dict[str, Any]
    status: JobStatus
    scheduled_at: datetime
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: float = 0.0
    epoch: int = 0
    epochs: int = 0
    log: str = ""
    error: str = ""
    cancel_requested: bool = False
    runner: str = ""
    model_version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A stored classifier version without its bytes."""

    model_id: int
    user_id: int
    version: int
    job_id: int | None
    created_at: datetime
    active: bool
    model_bytes: int
    metadata: dict[str, Any] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)

"""How far a profile is: six steps from a person to live recognition, what is missing, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from semg.consent_types import agrees
from semg.domain import Profile
from semg.ingest.stream_health import StreamHealth
from semg.store.path_facts import PathFacts
from ui.text import Markdown, md

StepState = Literal["done", "busy", "paused", "trouble", "open"]
Act = Literal["link", "bank", "quick", "train"]

PROFILES, CONNECT = "pages/1_User_Management.py", "pages/8_Connect_Device.py"
GESTURES = "pages/2_Gesture_Management.py"
CAPTURE, TRAIN = "pages/3_Training_Data_Capture.py", "pages/4_Kickoff_Training.py"
JOBS, LIVE = "pages/5_Training_Jobs_Status.py", "pages/6_Realtime_Gesture_Recognition.py"
STEPS = (
    ("person", "Person", PROFILES),
    ("device", "Device", CONNECT),
    ("gestures", "Gestures", GESTURES),
    ("record", "Record", CAPTURE),
    ("train", "Train", TRAIN),
    ("live", "Live", LIVE),
)
WAITING = ("scheduled", "in-progress")


@dataclass(frozen=True, slots=True)
class Facts:
    """What the judgement is made of, all of one moment.

    Attributes
    ----------
    people
        How many profiles who looks may see.
    profile
        The chosen one; None while nobody is chosen.
    health
        Of the profile's stream now.
    seen
        When its device last sent, in words; empty for never.
    simulated
        Whether a simulated arm sends for it.
    """

    people: int
    profile: Profile | None = None
    stored: PathFacts = field(default_factory=PathFacts)
    health: StreamHealth | None = None
    seen: str = ""
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the path: ``said`` is its state in words; the current one is that of the next action."""

    key: str
    label: str
    page: str
    state: StepState
    said: str
    current: bool


@dataclass(frozen=True, slots=True)
class Next:
    """The one next action: what is missing, and the button or link that leads on; no label: nothing to press.

    On the page that it leads to, ``there`` says what to do instead.
    """

    missing: Markdown
    act: Act = "link"
    page: str = ""
    label: str = ""
    there: Markdown | None = None


@dataclass(frozen=True, slots=True)
class Path:
    """The path of a profile: its steps, and the next action, None when everything is done."""

    steps: tuple[Step, ...]
    next: Next | None


def judge_path(facts: Facts) -> Path:
    """Judge how far a profile is."""
    states = {
        "person": _person(facts),
        "device": _device(facts),
        "gestures": _gestures(facts),
        "record": _record(facts),
        "train": _train(facts),
        "live": _live(facts),
    }
    follows = _next(facts)
    current = "" if follows is None else _step_of(follows, facts)
    return Path(tuple(Step(key, label, page, *states[key], key == current) for key, label, page in STEPS), follows)


def is_streaming(health: StreamHealth | None) -> bool:
    """Return whether samples arrive that a recording could use."""
    return health is not None and health.level != "silent" and not health.blocks


def _person(facts: Facts) -> tuple[StepState, str]:
    if facts.profile is None:
        return "open", "nobody is chosen" if facts.people else "no profile yet"
    if not agrees(facts.profile.consent, "recording"):
        return "trouble", "consent to recording is missing"
    return "done", "consent given"


def _device(facts: Facts) -> tuple[StepState, str]:
    health = facts.health
    if health is not None and health.level != "silent":
        if health.level == "bad":
            return "trouble", health.word
        return "done", "sends now" if health.level == "good" else f"sends now, {health.word}"
    return ("paused", f"last seen {facts.seen}") if facts.seen else ("open", "never seen")


def _gestures(facts: Facts) -> tuple[StepState, str]:
    n = facts.stored.gestures
    return ("done", f"{n} besides rest") if n else ("open", "only rest")


def _record(facts: Facts) -> tuple[StepState, str]:
    if facts.stored.recording:
        return "busy", "recording is paused" if facts.stored.paused else "recording now"
    return ("done", "recorded") if facts.stored.labelled else ("open", "nothing recorded yet")


def _train(facts: Facts) -> tuple[StepState, str]:
    stored = facts.stored
    if stored.job_status in WAITING:
        return "busy", f"training, {stored.job_progress:.0f} %"
    if stored.version is not None:
        state: StepState = "trouble" if stored.level == "do not use" else "done"
        return state, f"version {stored.version}" + (f", {stored.level}" if stored.level else "")
    if stored.job_status == "failed":
        return "trouble", "the training failed"
    return ("trouble", "no version is active") if stored.newest is not None else ("open", "no model yet")


def _live(facts: Facts) -> tuple[StepState, str]:
    if facts.stored.version is None or not facts.stored.recognised:
        return "open", "nothing recognised yet"
    return ("done", "recognised") if is_streaming(facts.health) else ("paused", "recognised before")


def _next(facts: Facts) -> Next | None:
    """Return the first thing that is missing on the way."""
    stored, profile = facts.stored, facts.profile
    if profile is None:
        if facts.people:
            return Next(md("Choose whose data you work with, in the field above."))
        return Next(
            md("**Welcome.** Start with a person: whose gestures shall be recognised?"),
            page=PROFILES,
            label="Create the first profile",
        )
    name = profile.name
    if not agrees(profile.consent, "recording"):
        missing = md("**Next: consent.** Nothing is recorded for {name} without it.", name=name)
        return Next(missing, page=PROFILES, label="Record the consent")
    imported = stored.labelled or stored.version is not None
    if not (facts.seen or imported or is_streaming(facts.health)):
        return _connect(facts, md("**Next: device.** No packet of {name}'s has arrived yet.", name=name))
    if facts.health is not None and facts.health.level == "bad" and not imported:
        return _connect(facts, md("**Next: device.**"))
    if not stored.gestures:
        return Next(md("**Next: gestures.** So far {name} has only rest.", name=name), "bank", GESTURES, "Add gestures")
    if stored.recording:
        said = md("**Recording.** {name} performs what is prompted.", name=name)
        if stored.paused:
            said = md("**Paused.** The recording of {name} goes on when somebody resumes it.", name=name)
        return Next(said, "link", CAPTURE, "To the capture")
    if not stored.labelled:
        if not is_streaming(facts.health):
            return _connect(facts, md("**Next: record.** {name}'s device must send for that; it is silent.", name=name))
        missing = md("**Next: record.** {name} performs each gesture as prompted, for two minutes.", name=name)
        there = md("**Next: record.** Press *Start recording*; {name} performs each gesture as prompted.", name=name)
        return Next(missing, "quick", CAPTURE, "Record two minutes", there)
    if stored.job_status in WAITING:
        missing = md("**Training**, {share:.0f} % done. Then gestures are recognised live.", share=stored.job_progress)
        return Next(missing, "link", JOBS, "Follow the training")
    if stored.version is None:
        return _after_recording(facts)
    if stored.recognised:
        return None
    if not is_streaming(facts.health):
        return _connect(facts, md("**Next: live.** {name}'s device must send for that; it is silent.", name=name))
    missing = md("**Next: live.** Perform a gesture and see it recognised.")
    arm = md("**Next: live.** Choose a gesture for the simulated arm, below the signals, and see it recognised.")
    return Next(missing, "link", LIVE, "See it live", arm if facts.simulated else None)


def _connect(facts: Facts, silent: Markdown) -> Next:
    """Return the way to *Connect*, and why: nothing comes (said by ``silent``), or what comes does not fit."""
    health = facts.health
    if health is not None and health.level != "silent":
        return Next(md("**Next: device.** {why}", why=health.sentence), page=CONNECT, label="Mend it")
    there = md("**Next: device.** Switch yours on, or choose a way below. A simulated arm needs no hardware.")
    return Next(silent, page=CONNECT, label="Connect a device", there=there)


def _after_recording(facts: Facts) -> Next:
    if facts.stored.job_status == "failed":
        return Next(md("**The training failed.** Its log says why."), "link", JOBS, "See the log")
    if facts.stored.newest is not None:
        return Next(
            md("**No version is active.** The report of the newest one says what to do."),
            "link",
            JOBS,
            "See the report",
        )
    return Next(md("**Next: train.** A model learns from what was recorded."), "train", TRAIN, "Train now")


def _step_of(follows: Next, facts: Facts) -> str:
    """Return the step that an action belongs to."""
    if facts.profile is None:
        return "person"
    page = TRAIN if follows.page == JOBS else follows.page
    return next(key for key, _, of_step in STEPS if of_step == page)

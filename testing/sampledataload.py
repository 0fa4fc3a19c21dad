"""Loads labelled sessions into the database: recordings, or a synthetic forearm.

    python sampledataload.py --recording A.csv.gz,B.csv.gz
    python sampledataload.py --sessions 2 --seed 7 --user-id 21

Prints JSON with ``userid`` and ``session_ids``. Needs the database only, no other service. Without ``--user-id`` a
new profile is made, which accepts text datagrams (v1), so that the simulators can stream for it.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import json
from datetime import UTC, datetime, timedelta

from semg.domain import Profile
from semg.errors import SemgError
from semg.privacy.consent import TEST_PERSON
from semg.recordings.csv_format import LayoutAnswers, Recording, load_recording
from semg.recordings.importing import ImportedSession, import_recording
from semg.settings import get_settings
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.store import profiles
from semg.store.pool import Pool, Transaction
from testing.kits.recording_kit import synthetic_recording

MAX_S = 600.0
"""For each file: an operator waits longer than a page does."""


def load(
    pool: Pool, recordings: list[Recording], *, user_id: int | None = None, name: str | None = None
) -> tuple[int, list[ImportedSession]]:
    """Store recordings as sessions of one profile, in one transaction, and give the profile and what was made.

    The sessions follow each other in the past, the last one ending now.

    Raises
    ------
    SemgError
        No such profile, or a recording that does not fit its device.
    """
    with pool.transaction() as tx:
        if user_id is None:
            user_id = _insert_profile(tx, recordings[0], name or f"Sample data {datetime.now(UTC):%Y-%m-%d %H:%M:%S}")
        profile = profiles.get_profile(tx, user_id)
        made = []
        for recording, started_at in zip(recordings, _starts(recordings), strict=True):
            title = f"{recording.path.name.split('.')[0]} · {started_at:%Y-%m-%d %H:%M:%S}"
            made.append(import_recording(tx, profile.user_id, recording, title, started_at, max_s=MAX_S))
    return user_id, made


def synthetic_recordings(
    arm: SyntheticArm, sessions: int, repetitions: int, gesture_s: float, first_index: int = 1
) -> list[Recording]:
    """Return whole sessions of a synthetic person, each with an own placement of the band."""
    plan = make_plan(arm.gestures, repetitions, gesture_s)
    indexes = range(first_index, first_index + sessions)
    return [synthetic_recording(arm, arm.session(index, plan), f"synthetic-{index}") for index in indexes]


def arm_of(profile: Profile | None, seed: int, channels: int, rate_hz: float, sensor: str) -> SyntheticArm:
    """Return a synthetic person with the device of a profile, or with the given one."""
    if profile is None:
        return SyntheticArm(seed, channels, rate_hz, "envelope" if sensor == "envelope" else "raw")
    device = profile.device
    return SyntheticArm(
        seed, device.n_channels, device.rate_hz, device.sensor, device.adc_min, device.adc_max, device.mains_hz
    )


def _insert_profile(tx: Transaction, recording: Recording, name: str) -> int:
    labelled = recording.labelled
    low, high = float(labelled.samples.min()), float(labelled.samples.max())
    return profiles.insert_profile(
        tx,
        name,
        channels=labelled.channels,
        rate_hz=labelled.rate_hz,
        sensor=labelled.sensor,
        adc_min=min(0.0, low),
        adc_max=max(4095.0 if low >= 0 else 1.0, high),
        mains_hz=labelled.mains_hz,
        allow_v1=True,
        consent=TEST_PERSON,
        notes="Made by testing/sampledataload.py",
    )


def _starts(recordings: list[Recording]) -> list[datetime]:
    """Return start times in the past so that the recordings follow each other with a minute between."""
    at = datetime.now(UTC)
    starts = []
    for recording in reversed(recordings):
        at -= timedelta(milliseconds=float(recording.device_ms[-1] - recording.device_ms[0]))
        starts.append(at)
        at -= timedelta(minutes=1)
    return starts[::-1]


def _load(path: str, options: argparse.Namespace) -> Recording:
    """Return a recording as the options say it is laid out, and print what is to be known of it."""
    answers = LayoutAnswers(
        separator=options.separator,
        time=options.time,
        time_unit=options.time_unit,
        channels=None if options.columns is None else tuple(options.columns.split(",")),
        label=options.label,
        rest=options.rest,
        repetition=options.repetition,
    )
    recording = load_recording(
        path, answers=answers, rate_hz=options.rate_hz, sensor=options.sensor, mains_hz=options.mains_hz
    )
    for note in recording.notes:
        print(f"sampledataload: {note}", file=sys.stderr)
    return recording


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", nargs="+", default=[], help="CSV files; synthetic sessions without")
    parser.add_argument("--user-id", type=int, help="an existing profile; a new one is made without")
    parser.add_argument("--name", help="name of the new profile")
    parser.add_argument("--sensor", choices=["raw", "envelope"], default="raw")
    parser.add_argument("--rate-hz", type=float, help="of a recording; found from its times without")
    parser.add_argument("--mains-hz", type=float, default=50.0)
    parser.add_argument(
        "--separator", help="column separator of the recording: one character, or the word tab or blank (a space)"
    )
    parser.add_argument("--time", help="time column of the recording")
    parser.add_argument("--time-unit", choices=["ms", "s", "us", "samples"], help="unit of the time column")
    parser.add_argument("--columns", help="value columns of the recording, separated by commas")
    parser.add_argument("--label", help="gesture column of the recording")
    parser.add_argument("--rest", help="label that means rest; '' if none does")
    parser.add_argument(
        "--repetition", help="repetition column of the recording; counted from the runs of a label without"
    )
    parser.add_argument("--sessions", type=int, default=2, help="synthetic sessions")
    parser.add_argument("--repetitions", type=int, default=5, help="of each gesture in a synthetic session")
    parser.add_argument("--gesture-s", type=float, default=3.0, help="length of a synthetic repetition")
    parser.add_argument("--channels", type=int, default=8, help="of a synthetic new profile")
    parser.add_argument("--seed", type=int, default=0, help="the synthetic person")
    return parser.parse_args()


def main() -> int:
    """Load what the command line names and print JSON."""
    options = _arguments()
    pool = Pool(get_settings(), size=1, name="sampledataload")
    try:
        files = [name for entry in options.recording for name in entry.split(",") if name]
        if files:
            recordings = [_load(path, options) for path in files]
        else:
            profile = None
            if options.user_id is not None:
                with pool.transaction() as tx:
                    profile = profiles.get_profile(tx, options.user_id)
            arm = arm_of(profile, options.seed, options.channels, options.rate_hz or 200.0, options.sensor)
            recordings = synthetic_recordings(arm, options.sessions, options.repetitions, options.gesture_s)
        user_id, made = load(pool, recordings, user_id=options.user_id, name=options.name)
    except (SemgError, ValueError) as exc:
        print(f"sampledataload: {exc}", file=sys.stderr)
        return 2
    finally:
        pool.close()
    print(
        json.dumps(
            {
                "userid": user_id,
                "session_ids": [session.session_id for session in made],
                "samples": [session.samples for session in made],
                "gestures": sorted({stretch.label for r in recordings for stretch in r.labelled.stretches}),
            }
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

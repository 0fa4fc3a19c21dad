"""Make a base from many people's sessions, for personal trainings to start from.

``python ml_model/pretrain.py`` takes all profiles that consent and stores a base as the next version, one for each kind
of device. ``python ml_model/pretrain.py --recordings DIR --out base.safetensors`` takes the recordings of a folder,
called ``<person>-<session>.csv.gz``, and needs no database.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

from typing import cast, get_args

import fire

from semg.domain import Sensor
from semg.errors import RecordingError, SemgError
from semg.priors.building import make_base, people_in
from semg.security import private_files


def main(
    recordings: str = "",
    out: str = "",
    exclude: str | tuple[str, ...] = (),
    sensor: str = "raw",
    rate_hz: float | None = None,
    mains_hz: float = 50.0,
) -> None:
    """Make a base, and say what went in.

    Parameters
    ----------
    recordings
        Folder of recordings; the profiles of the database when not given.
    out
        File for the base; only with recordings.
    exclude
        People to leave out, comma separated: a person's file names end in it before the session.
    sensor, rate_hz, mains_hz
        What the recordings do not say about the device.
    """
    try:
        if bool(recordings) != bool(out):
            raise RecordingError("--recordings and --out go together: a folder to read, and a file to write.")
        if not recordings:
            _from_profiles()
            return
        if sensor not in get_args(Sensor):
            raise RecordingError(f"--sensor must be one of {', '.join(get_args(Sensor))}, got {sensor!r}.")
        parts = exclude if isinstance(exclude, tuple | list) else str(exclude).split(",")
        left_out = [str(part).strip() for part in parts if str(part).strip()]
        people = people_in(
            Path(str(recordings)), left_out, rate_hz=rate_hz, sensor=cast(Sensor, sensor), mains_hz=float(mains_hz)
        )
        base = make_base(Path(str(out)).name.removesuffix(".safetensors"), people, say=print)
        private_files.write(Path(str(out)), base.to_bytes())
    except (SemgError, OSError, ValueError) as exc:
        print(exc, file=sys.stderr)
        sys.exit(2)
    print(f"{out}: {base.describe()}")


def _from_profiles() -> None:
    from semg.priors.profiles import make_bases
    from semg.settings import get_settings
    from semg.store.pool import Pool

    settings = get_settings()
    for line in make_bases(settings, Pool(settings, size=1, name="pretrain")):
        print(line)


if __name__ == "__main__":
    fire.Fire(main)

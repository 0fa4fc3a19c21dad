"""Write recordings as a BIDS data set of electromyography, around BDF+ files.

BIDS 1.11, https://bids-specification.readthedocs.io/en/v1.11.1/modality-specific-files/electromyography.html
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semg.domain import utc_from_us
from semg.formats import bdf_writer
from semg.formats.bdf_writer import RecordShape, channel_labels, record_shape
from semg.formats.grid import Survey, survey
from semg.formats.neutral import GAP, LATE, NeutralRecording, Written
from semg.formats.tab_separated import to_text

VERSION = "1.11.1"
TASK = "gestures"
OWN_KEY = "SemgPlatform"
"""Field of the sidecar with what has no place in BIDS, for a later import."""
_NO_LABEL = re.compile(r"[^A-Za-z0-9]")
_SCHEME = (
    "Chosen by the researcher. The platform stores the order of the channels, and what a channel is for where somebody "
    "entered it; it measures no positions."
)
_README = """# Recordings of hand gestures by surface electromyography

Exported from the sEMG platform as BIDS {version}. One session is one placement of the electrodes. Samples are in
`*_emg.bdf` (BDF+C). Events: `trial_type` is the gesture that was prompted, or
- `BAD_gap`: no samples arrived; the file holds the last value before it,
- `BAD_late`: samples that arrived after later ones, and were not part of the live signal.
`excluded` repetitions were left out of training by a researcher; in the BDF file they are covered by `BAD_excluded`.
People stand as numbers; no name is in these files.
"""
_EVENT_COLUMNS = {
    "trial_type": {"Description": "The prompted gesture, or BAD_gap or BAD_late"},
    "repetition": {"Description": "Number of the gesture's repetition within the session"},
    "excluded": {"Description": "1 where the repetition was left out of training, else 0"},
    "reason": {"Description": "Why it was left out"},
    "sample": {"Description": "The first sample of the event, counted from 0"},
}


@dataclass(slots=True)
class Dataset:
    """A data set that grows by recordings; ``close`` writes what stands at its top.

    Parameters
    ----------
    name
        Of the data set.
    """

    folder: Path
    name: str
    _people: dict[str, str] = field(default_factory=dict)
    _scans: dict[str, list[list[str]]] = field(default_factory=dict)

    def add(self, recording: NeutralRecording, session: str) -> Written:
        """Write a recording as a session of its person, and return its files.

        Raises
        ------
        RecordingError
            As ``bdf_writer.write``.
        """
        about = recording.about
        found, shape = survey(recording), record_shape(about.rate_hz)
        subject, label = f"sub-{_label(about.person)}", f"ses-{_label(session)}"
        folder = self.folder / subject / label / "emg"
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{subject}_{label}_task-{TASK}"
        written = bdf_writer.write(recording, folder / f"{stem}_emg.bdf")
        files = {
            f"{stem}_emg.json": _json(_sidecar(recording, found, shape)),
            f"{stem}_channels.tsv": _channels(recording),
            f"{stem}_events.tsv": _events(found, shape),
            f"{stem}_events.json": _json(_EVENT_COLUMNS),
            f"{subject}_{label}_electrodes.tsv": to_text(
                [["name", "x", "y", "z"], *([name, "n/a", "n/a", "n/a"] for name in channel_labels(about.channels))]
            ),
            f"{subject}_{label}_coordsystem.json": _json(
                {
                    "EMGCoordinateSystem": "Other",
                    "EMGCoordinateUnits": "n/a",
                    "EMGCoordinateSystemDescription": "No positions were measured.",
                }
            ),
        }
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        self._people[subject] = about.handedness or "n/a"
        at = f"{utc_from_us(found.start_us):%Y-%m-%dT%H:%M:%S.%fZ}" if about.dated else "n/a"
        scans = self._scans.setdefault(f"{subject}/{label}/{subject}_{label}_scans.tsv", [["filename", "acq_time"]])
        scans.append([f"emg/{stem}_emg.bdf", at])
        paths = (*written.files, *(folder / name for name in files))
        return Written(paths, written.notes)

    def close(self) -> tuple[Path, ...]:
        """Write the files about the whole data set, and return them."""
        files = {
            "dataset_description.json": _json(
                {
                    "Name": self.name,
                    "BIDSVersion": VERSION,
                    "DatasetType": "raw",
                    "GeneratedBy": [{"Name": "sEMG platform"}],
                }
            ),
            "README.md": _README.format(version=VERSION),
            "participants.tsv": to_text(
                [["participant_id", "handedness"], *([who, hand] for who, hand in sorted(self._people.items()))]
            ),
            "participants.json": _json({"handedness": {"Description": "Handedness as the person said it"}}),
            **{name: to_text(rows) for name, rows in self._scans.items()},
        }
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        return tuple(self.folder / name for name in files)


def _sidecar(recording: NeutralRecording, found: Survey, shape: RecordShape) -> dict[str, Any]:
    about = recording.about
    envelope = {"Envelope": {"Description": "The sensor rectifies and smooths before it is sampled"}}
    return {
        "TaskName": TASK,
        "TaskDescription": "Gestures of the hand, prompted one after another",
        "EMGPlacementScheme": "Other",
        "EMGPlacementSchemeDescription": _SCHEME,
        "EMGReference": "n/a",
        "EMGGround": "n/a",
        "SamplingFrequency": shape.rate_hz,
        "PowerLineFrequency": about.mains_hz or "n/a",
        "SoftwareFilters": "n/a",
        "HardwareFilters": envelope if about.sensor == "envelope" else "n/a",
        "RecordingType": "continuous",
        "RecordingDuration": round(found.n_grid / shape.rate_hz, 6),
        "EMGChannelCount": len(about.channels),
        OWN_KEY: {
            "session": about.name,
            "channels": list(about.channels),
            "sensor": about.sensor,
            "value_min": about.value_min,
            "value_max": about.value_max,
            "simulated": about.simulated,
        },
    }


def _channels(recording: NeutralRecording) -> str:
    about = recording.about
    rows = [["name", "type", "units", "description", "sampling_frequency"]]
    purposes = about.purposes or ("",) * len(about.channels)
    for name, purpose in zip(channel_labels(about.channels), purposes, strict=True):
        rows.append([name, "EMG", about.unit or "n/a", purpose or "n/a", f"{about.rate_hz:g}"])
    return to_text(rows)


def _events(found: Survey, shape: RecordShape) -> str:
    rows = [(span, kind, "n/a", "n/a", "n/a") for spans, kind in ((found.gaps, GAP), (found.late, LATE))
            for span in spans]  # fmt: skip
    rows += [
        (span, label.gesture, str(label.number), str(int(label.excluded)), label.reason or "n/a")
        for label, span in found.labels
    ]
    rows.sort(key=lambda row: row[0].first)
    table = [["onset", "duration", "trial_type", "repetition", "excluded", "reason", "sample"]]
    for span, *rest in rows:
        onset, duration = span.first / shape.rate_hz, (span.end - span.first) / shape.rate_hz
        table.append([f"{onset:.6f}", f"{duration:.6f}", *rest, str(span.first)])
    return to_text(table)


def _label(text: str) -> str:
    """Return a text as a label of BIDS: letters and digits."""
    return _NO_LABEL.sub("", text) or "unknown"


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

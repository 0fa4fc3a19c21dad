"""Sends a profile's stored samples in batches to /predict and prints the accuracy against their labels.

    python test_inference.py --user-id 21 [--session-id 3] [--batch 1000]

Needs the running API and the database. The samples were used for training unless the model says otherwise: this
shows that storage, API and model fit together, and is no honest estimate of recognition.
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
from collections.abc import Iterator

import httpx
import numpy as np

from semg.domain import Session
from semg.errors import SemgError
from semg.process.lifecycle import verification
from semg.recordings.session_data import load_session
from semg.settings import Settings, get_settings
from semg.signals.dataset import LabelledSamples
from semg.store import sessions
from semg.store.pool import Pool


def scored_windows(
    http: httpx.Client, user_id: int, labelled: LabelledSamples, batch: int
) -> Iterator[tuple[str, str]]:
    """Yield (label of the last sample, prediction) of every window that ends in a stretch.

    Raises
    ------
    httpx.HTTPStatusError
        The API refused a batch.
    """
    for first in range(0, len(labelled.samples), batch):
        part = labelled.samples[first : first + batch]
        response = http.post("/predict", json={"userid": user_id, "data": part.tolist()})
        if response.status_code == 422 and first > 0:  # the last batch may be shorter than a window
            continue
        response.raise_for_status()
        for prediction in response.json()["predictions"]:
            stretch = int(labelled.stretch[first + prediction["end_index"]])
            if stretch >= 0:
                yield labelled.stretches[stretch].label, prediction["label"]


def _load(pool: Pool, user_id: int, session_id: int | None) -> list[LabelledSamples]:
    with pool.transaction() as tx:
        chosen: list[Session] = (
            sessions.list_sessions(tx, user_id) if session_id is None else [sessions.get_session(tx, session_id)]
        )
        return [load_session(tx, session) for session in chosen]


def _arguments(settings: Settings) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user-id", type=int, default=settings.user_id)
    parser.add_argument("--session-id", type=int, help="one session; all of the profile without")
    parser.add_argument("--batch", type=int, default=1000, help="samples in a request")
    return parser.parse_args()


def main() -> int:
    """Score what the command line names and print JSON."""
    settings = get_settings()
    options = _arguments(settings)
    pool = Pool(settings, size=1, name="test_inference")
    headers = {"Authorization": f"Bearer {settings.semg_api_token.get_secret_value()}"}
    try:
        labelled = _load(pool, options.user_id, options.session_id)
        with httpx.Client(
            trust_env=False,
            base_url=settings.internal_api_url,
            headers=headers,
            timeout=30,
            verify=verification(settings),
        ) as http:
            pairs = [p for session in labelled for p in scored_windows(http, options.user_id, session, options.batch)]
    except httpx.HTTPStatusError as exc:
        print(f"test_inference: the API answered {exc.response.status_code}: {exc.response.text}", file=sys.stderr)
        return 2
    except (SemgError, httpx.HTTPError) as exc:
        print(f"test_inference: {exc}", file=sys.stderr)
        return 2
    finally:
        pool.close()
    if not pairs:
        print(f"test_inference: profile {options.user_id} has no labelled samples", file=sys.stderr)
        return 2
    truth, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    recall = {name: float((predicted[truth == name] == name).mean()) for name in sorted(set(truth.tolist()))}
    figures = {
        "userid": options.user_id,
        "windows": len(truth),
        "accuracy": round(float((truth == predicted).mean()), 4),
        "balanced_accuracy": round(float(np.mean(list(recall.values()))), 4),
        "recall": {name: round(value, 4) for name, value in recall.items()},
    }
    print(json.dumps(figures))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What a log line holds: fields, where an error came from, and nothing that somebody typed."""

from __future__ import annotations

import io
import logging

from semg.log import FieldFormatter


def logged(error: BaseException) -> str:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(FieldFormatter("%(levelname)s %(message)s"))
    try:
        try:
            {}["Zoltan"]
        except KeyError as first:
            raise error from first
    except BaseException as raised:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "failed", (), (type(raised), raised, raised.__traceback__)
        )
    record.job_id = 7
    handler.handle(record)
    return out.getvalue()


def test_traceback_has_places_and_kinds_and_no_message() -> None:
    text = logged(ValueError("of Zoltan"))
    assert text.startswith("ERROR failed job_id=7\n")
    assert text.index("KeyError") < text.index("ValueError")
    assert text.count("test_log.py") == 2
    assert "of Zoltan" not in text
    assert "KeyError: " not in text


def test_error_of_the_operating_system_says_what_it_says_without_the_file() -> None:
    text = logged(OSError(28, "No space left on device", "/data/Zoltan.csv"))
    assert "OSError: No space left on device" in text
    assert "/data" not in text

"""What a log line holds: fields, where an error came from, and nothing that somebody typed."""

from __future__ import annotations

import io
import logging

from semg.log import FieldFormatter, _shown


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


def test_nothing_that_is_logged_looks_like_a_record_of_its_own() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(FieldFormatter("%(asctime)s app %(levelname)s %(message)s"))
    forged = "x\n2026-01-01T00:00:00.000Z app ERROR all data lost\r\u2028\x1b[2J\u202e"
    record = logging.LogRecord("x", logging.INFO, "", 0, "refused: %s", (forged,), None)
    record.path = forged
    record.created, record.msecs = 0.0, 7.0
    handler.handle(record)
    (line,) = out.getvalue().splitlines()
    assert line.startswith("1970-01-01T00:00:00.007Z app INFO refused: x\\n2026-01-01")
    assert line.endswith("\\r\\u2028\\x1b[2J\\u202e")
    assert _shown("Grüße 漢字") == "Grüße 漢字"

"""What ``docs/api.md`` shows works, and it names every call."""

from __future__ import annotations

import argparse
import gzip
import re
import shlex
from typing import Any

import pytest

from semg.recordings.session_export import iterate_csv
from semg.settings import PROJECT_DIR
from semg.store import sessions
from testing.kits.rest_kit import Rest

pytestmark = pytest.mark.servers
TEXT = (PROJECT_DIR / "docs" / "api.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def csv(rest: Rest, person: int) -> bytes:
    """What ``session.csv`` of the tour may be."""
    with rest.pool.transaction() as tx:
        session = sessions.list_sessions(tx, person)[0]
    return gzip.decompress(b"".join(iterate_csv(rest.pool, session)))


@pytest.mark.usefixtures("here")
def test_commands_of_the_tour_are_answered(rest: Rest, admin: str, csv: bytes) -> None:
    user_id = rest.profile()
    session = rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"][0]["session_id"]
    label = rest.get(admin, f"/sessions/{session}/repetitions").json()["items"][0]["repetition_id"]
    job = rest.ask(admin, "POST", f"/profiles/{user_id}/jobs", json={"session_ids": [session]}).json()["job_id"]
    real = {"profiles/21": f"profiles/{user_id}", "sessions/5": f"sessions/{session}", "[5]": f"[{session}]",
            "repetitions/77": f"repetitions/{label}", "jobs/9": f"jobs/{job}", "$TOKEN": admin, "$URL": ""}  # fmt: skip
    commands = [line for line in COMMANDS if line.startswith("curl ")]
    assert len(commands) > 15
    for command in commands:
        for shown, meant in real.items():
            command = command.replace(shown, meant)
        asked = parsed(command)
        tag = rest.client.get(asked.url, headers={"Authorization": f"Bearer {admin}"}).headers.get("ETag", "")
        headers = {name: value.replace("$ETAG", tag) for name, value in (one.split(": ", 1) for one in asked.H)}
        content = csv if asked.data_binary == "@session.csv" else asked.d
        method = asked.X or ("POST" if content else "GET")
        answer = rest.client.request(method, asked.url, headers=headers, content=content)
        makes = method == "POST" and content and "dry_run" not in asked.url
        wanted = 304 if "If-None-Match" in headers else 201 if makes else 200
        assert answer.status_code == wanted, (command, answer.text)


def test_python_of_the_tour_reads_samples(rest: Rest, admin: str, person: int) -> None:
    session = rest.get(admin, f"/profiles/{person}/sessions").json()["items"][0]["session_id"]
    known: dict[str, Any] = {"URL": str(rest.client.base_url).rstrip("/"), "TOKEN": admin}
    for code in PYTHON:
        exec(code.replace("sessions/5", f"sessions/{session}"), known)  # noqa: S102 - the text of this repository
    assert len(known["frame"]) == 2400


def test_every_call_is_named_with_its_token(rest: Rest) -> None:
    said = {
        (method.lower(), path): scope
        for method, path, scope in re.findall(r"^\| `([A-Z]+) (/v1/\S*)` \| (\w+) \|", TEXT, re.MULTILINE)
    }
    paths = rest.client.get("/openapi.json").json()["paths"]
    calls = {(method, path) for path, methods in paths.items() if path.startswith("/v1/") for method in methods}
    assert all(paths[path][method]["security"] == [{"token": []}] for method, path in calls)
    assert said == {call: "read" if call[0] == "get" else "work" for call in calls}


def parsed(command: str) -> argparse.Namespace:
    """The parts of a curl command."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-H", action="append", default=[])
    for option in ("-X", "-d", "-o", "--data-binary"):
        parser.add_argument(option)
    parser.add_argument("url")
    return parser.parse_args(shlex.split(command)[1:])

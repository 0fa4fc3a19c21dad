"""Files that are small and cost much: labels in every row, a bomb of gzip, a picture of thousands of scans."""

from __future__ import annotations

import base64
import gzip
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

from semg.store import gestures, sessions
from testing.attacks.app_page import AppPage
from testing.attacks.findings import Finding, judged
from testing.attacks.internet import process_at
from testing.attacks.means import Entry
from testing.attacks.target import Target

TITLE = "imports and uploads"
SLOW_S = 10.0
"""Of the processors, the app's and the database's together: seconds on the clock tell what else the machine does.
Before they were bounded, 8,000 rows with a label each took 17.6 s."""
MOST_BYTES = 512 << 20
"""What docs/security.md grants an import."""
BOMB_BYTES = 1 << 30
N_SCANS = 5000
GESTURES, DROP, PICTURE = "semg_gesture_list", "semg_picture_drop", "A short video, or an animated picture"
FORM, FILE, BUTTON = "Import a recording", "Recording of", "Import"
SCAN = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x00"
"""A scan of a JPEG with one component and no content."""


@dataclass
class Spent:
    """How much the app's process grew while it was watched, and what all processes of the system computed."""

    grown_bytes: int = 0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a file cost, how much was made of it, and what the page said."""

    cpu_s: float
    grown_bytes: int
    n_made: int
    said: str


def judge(cost: Cost, asked: str, is_refused: bool) -> Finding:
    """Check that a file cost little, was refused if it had to be, and that the page said what became of it."""
    is_cheap = cost.cpu_s < SLOW_S and cost.grown_bytes < MOST_BYTES
    is_right = bool(cost.said) and not (is_refused and cost.n_made)
    told = f"{cost.cpu_s:.1f} s of CPU, {cost.grown_bytes >> 20} MB more, {cost.n_made} stored; {cost.said}"
    return judged(is_cheap and is_right, asked, told)


def attack(target: Target) -> Iterator[Finding]:
    """Send such files as a researcher; in the end the app must have what it had before."""
    process = process_at(target.own.settings.streamlit_port)
    entry = target.log_in()
    for n_rows, n_labels in ((8_000, 8_000), (40_000, 5_000)):
        yield from _imported(
            target, entry, process, f"{n_rows:,} rows with {n_labels:,} labels", rows(n_rows, n_labels)
        )
    yield from _imported(
        target, entry, process, f"gzip that unpacks to {BOMB_BYTES >> 20} MB", bomb(BOMB_BYTES), is_refused=True
    )
    wide = gzip.compress(b"millis," + b"," * 20_000_000 + b"\n1,2\n")
    yield from _imported(target, entry, process, "gzip with a header of 20 million columns", wide, is_refused=True)
    yield from _picture(target, entry, process)
    answer = target.ask("GET", "/_stcore/health")
    yield judged(
        answer.status_code == 200 and process.is_running(), "the app afterwards", f"status {answer.status_code}"
    )


def rows(n_rows: int, n_labels: int) -> bytes:
    """Return a recording whose label changes so often, as gzip."""
    lines = ["millis,a0,a1,gesture,repetition\n"]
    for row in range(n_rows):
        number = row * n_labels // n_rows
        lines.append(f"{row * 5},{row % 9},{row % 7},{'fist' if number % 2 else 'open'},{number}\n")
    return gzip.compress("".join(lines).encode(), 6)


def bomb(size: int) -> bytes:
    """Return a small gzip file of equal lines that unpacks to so many bytes."""
    packer = zlib.compressobj(9, wbits=31)
    piece = b"1,0,0,,0\n" * (1 << 17)
    parts = [packer.compress(b"millis,a0,a1,gesture,repetition\n")]
    parts += [packer.compress(piece) for _ in range(size // len(piece) + 1)]
    return b"".join([*parts, packer.flush()])


def progressive(scans: int) -> bytes:
    """Return a JPEG of 16 × 16 pixels with so many scans."""
    head = b"\xff\xd8\xff\xdb\x00\x43\x00" + b"\x01" * 64
    frame = b"\xff\xc2\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"
    return head + frame + SCAN * scans + b"\xff\xd9"


@contextmanager
def watched(process: psutil.Process) -> Iterator[Spent]:
    """Watch a process's memory, and what our own system computes, in the block."""
    found, ended, before, begun_s = Spent(), threading.Event(), process.memory_info().rss, computed_s()

    def watch() -> None:
        while not ended.wait(0.01):
            found.grown_bytes = max(found.grown_bytes, process.memory_info().rss - before)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        found.cpu_s = computed_s() - begun_s


def computed_s() -> float:
    """Return the processor time of all of our own system's processes, those that have ended with them."""
    total = 0.0
    for one in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _imported(
    target: Target, entry: Entry, process: psutil.Process, named: str, content: bytes, *, is_refused: bool = False
) -> Iterator[Finding]:
    """Import a file by the page, and check what it cost."""
    inside = target.own
    with AppPage(target, entry, "Sensor_Data_Review", f"profile={inside.user_id}") as page:
        page.choose("button_group", "Show", string_array_value=[FORM])
        page.run()
        before = _n_sessions(target)
        with watched(process) as spent:
            page.give_file(FILE, "x.csv.gz", content)
            page.run()  # it is read when it is chosen, and again when it is taken in
            if any(one.label.startswith(BUTTON) for one in page.all("button")):
                page.press(BUTTON)
        said = page.problems or ", ".join(one.body for one in page.all("toast"))
        made = _n_sessions(target) - before
    yield judge(
        Cost(spent.cpu_s, spent.grown_bytes, made, said), f"import of {len(content) >> 10:,} kB, {named}", is_refused
    )


def _picture(target: Target, entry: Entry, process: psutil.Process) -> Iterator[Finding]:
    """Try to set a gesture's picture that costs minutes to decode, in its dialog: dropped, and chosen as a file."""
    inside, content = target.own, progressive(N_SCANS)
    with inside.pool.transaction() as tx:
        gesture = gestures.list_gestures(tx, inside.user_id)[1]
    for way in ("dropped", "chosen as a file"):
        with AppPage(target, entry, "Gesture_Management", f"profile={inside.user_id}") as page:
            page.trigger(GESTURES, "edit", {"id": gesture.gesture_id})
            if way == "dropped":
                with watched(process) as spent:
                    page.trigger(DROP, "picture", {"content": base64.b64encode(content).decode()})
            else:
                page.give_file(PICTURE, "x.jpg", content)
                with watched(process) as spent:
                    page.run()
            said = page.problems
        with inside.pool.transaction() as tx:
            is_stored = gestures.find_prompt(tx, gesture.gesture_id) is not None
        named = f"a progressive JPEG of {len(content) >> 10} kB with {N_SCANS:,} scans as a picture, {way}"
        yield judge(Cost(spent.cpu_s, spent.grown_bytes, int(is_stored), said), named, True)


def _n_sessions(target: Target) -> int:
    with target.own.pool.transaction() as tx:
        return len(sessions.list_sessions(tx, target.own.user_id))

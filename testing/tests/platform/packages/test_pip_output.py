"""How far pip is, read from output that pip 23.2.1, 24.3.1, 25.3 and 26.3 wrote."""

from __future__ import annotations

import io

import pytest

from semg.platform.packages.pip_output import PipOutput, has_raw
from semg.platform.packages.pip_run import Silence, silent_sentence
from semg.platform.packages.progress import Progress

OLD = """\
Looking in indexes: https://pypi.org/simple, file:///opt/pypi/simple, https://****@mirror.test:8443/simple
Ignoring pyee: markers 'python_full_version >= "3.12"' don't match your environment
Collecting annotated-doc==0.0.7 (from -r mini.txt (line 1))
  Downloading annotated_doc-0.0.7-py3-none-any.whl (5.3 kB)
Collecting numpy==2.4.6 (from -r mini.txt (line 2))
  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl (16.9 MB)
"""
RAW = """\
Progress 0 of 16918164
Progress 262144 of 16918164
"""
END = """\
Installing collected packages: numpy, annotated-doc
Successfully installed annotated-doc-0.0.7 numpy-2.4.6
"""
CPU = """\
Looking in indexes: https://download.pytorch.org/whl/cpu
Collecting torch==2.13.0+cpu (from -r requirements-torch-cpu.lock (line 2))
  Downloading https://download.pytorch.org/torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl (191.8 MB)
"""


def fed(text: str, total: int = 3) -> PipOutput:
    output = PipOutput(total)
    for line in text.splitlines():
        output.feed(line)
    return output


def test_package_and_bytes_are_read_from_raw_progress() -> None:
    output = fed(OLD + RAW)
    assert (output.packages, output.total, output.name, output.phase) == (2, 2, "numpy", "downloading")
    assert output.got_bytes == 5300 + 262144
    output = fed(OLD + RAW + END)
    assert (output.phase, output.hosts) == ("installing", [])
    assert output.got_bytes == pytest.approx(16.92e6, rel=1e-3)


def test_bytes_are_measured_where_pip_reports_none() -> None:
    output = fed(OLD)
    assert output.file == "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"
    assert output.measured(1_000_000)
    assert not output.measured(1_000_000), "nothing more has come"
    assert output.got_bytes == 1_005_300
    output.feed("Collecting orjson==3.13.0")
    assert output.got_bytes == pytest.approx(16.9e6 + 5300), "it goes on when the file is here"


def test_host_that_pip_waits_for_is_known() -> None:
    assert PipOutput(1).hosts == [], "it starts"
    assert fed("Collecting numpy==2.4.6 (from -r mini.txt (line 2))").hosts == ["pypi.org", "files.pythonhosted.org"]
    assert fed(OLD.partition("Ignoring")[0]).hosts == ["pypi.org", "mirror.test:8443", "files.pythonhosted.org"]
    assert fed(OLD).hosts == ["files.pythonhosted.org"]
    assert fed(CPU).hosts == ["download.pytorch.org"]
    assert fed(CPU).file == "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"
    assert fed("  Preparing metadata (pyproject.toml): started\n").hosts == []


def test_files_on_the_disk_and_in_the_cache_count_as_packages() -> None:
    output = fed(
        "Processing /opt/wheels/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl (from -r a.lock (line 2))\n"
        "Collecting av==18.1.0\n  Using cached av-18.1.0-cp311-cp311-linux_x86_64.whl (40.0 MB)\n"
        "Requirement already satisfied: six==1.17.0 in /venv (from -r a.lock (line 9)) (1.17.0)\n"
    )
    assert (output.packages, output.name, output.got_bytes) == (3, "six", 40e6)
    assert fed("Processing ./shelf/torch-9.0-py3-none-any.whl").name == "torch"


@pytest.mark.parametrize(("version", "raw"), [("23.2.1", False), ("24.0", False), ("24.1", True), ("26.3\n", True)])
def test_raw_progress_is_asked_for_where_pip_has_it(version: str, raw: bool) -> None:
    assert has_raw(version) is raw


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_outside_a_terminal_a_line_comes_every_ten_seconds_or_five_percent() -> None:
    time_s, out, output = [0.0], io.StringIO(), fed(OLD)
    progress = Progress("packages", 20, out, now=lambda: time_s[0])
    for second in range(31):
        time_s[0] = float(second)
        output.measured(100_000 * second)
        progress.update(output)
    assert [line.rsplit(", ", 1)[1] for line in out.getvalue().splitlines()] == ["0:10 min", "0:20 min", "0:30 min"]
    assert "packages: 1 of about 20 MB, 2 of 2 packages, downloading numpy, 0:10 min" in out.getvalue()
    time_s[0], n_before = 31.5, out.getvalue().count("\n")
    output.measured(9_000_000)
    progress.update(output)
    assert out.getvalue().count("\n") == n_before + 1
    time_s[0] = 90.0
    progress.end(fed(OLD + RAW + END))
    assert out.getvalue().endswith("packages: 2 packages, 17 MB in 1:30 min.\n")


def test_in_a_terminal_a_bar_is_drawn_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    time_s, out, output = [0.0], Terminal(), fed(OLD)
    progress = Progress("packages", 20, out, now=lambda: time_s[0])
    output.measured(10_000_000)
    time_s[0] = 1.0
    progress.update(output)
    assert out.getvalue().startswith("\r  [████████████············] packages: 10 of about 20 MB"[:60])
    assert len(out.getvalue().strip("\r")) <= 59
    progress.say("No answer from pypi.org.")
    assert out.getvalue().endswith("\r  No answer from pypi.org.\n")
    progress.end(output)
    assert out.getvalue()[-1] == "\n"


def test_silence_is_named_when_it_has_lasted_and_again_later() -> None:
    time_s = [0.0]
    silence = Silence(20.0, now=lambda: time_s[0])
    told = []
    for second in range(0, 120):
        time_s[0] = float(second)
        if sentence := silence.sentence(["127.0.0.1:1"]):
            told.append((second, sentence))
    assert [second for second, _ in told] == [20, 80]
    assert "No answer from 127.0.0.1:1 for 20 s" in told[0][1]
    silence.broken()
    assert silence.sentence(["127.0.0.1:1"]) == ""


@pytest.mark.parametrize(
    ("found", "named", "cause"),
    [
        ({"a.test": "", "b.test": "its name is not found (DNS)"}, "from b.test for", "not found (DNS)"),
        ({"a.test": "", "b.test": ""}, "from a.test or b.test for", "sends nothing"),
        ({}, "from a.test or b.test for", "cannot be reached"),
    ],
)
def test_sentence_names_the_host_that_is_not_reached(found: dict[str, str], named: str, cause: str) -> None:
    said = silent_sentence(["a.test", "b.test"], found, 20.2)
    assert named in said
    assert cause in said
    assert "proxy" in said
    assert "PIP_INDEX_URL" in said

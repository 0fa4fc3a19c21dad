"""Windows' Linux is recognised, and the start says how devices reach it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from semg.platform import wsl
from semg.settings import PROJECT_DIR


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("proc/sys/kernel/osrelease", "5.15.167.4-microsoft-standard-WSL2\n", True),
        ("proc/version", "Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)", True),
        ("proc/version", "Linux version 6.1.0-26-amd64 (debian-kernel@lists.debian.org)", False),
        ("proc/unread", "microsoft", False),
    ],
)
def test_wsl_is_recognised_by_its_kernel(tmp_path: Path, name: str, text: str, found: bool) -> None:
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)
    assert wsl.is_wsl(tmp_path) is found


def test_mode_of_networking_is_what_wslinfo_prints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wsl.networking_mode("wslinfo-that-is-not-there") == ""
    tool = tmp_path / "wslinfo"
    tool.write_text('#!/bin/sh\n[ "$1" = --networking-mode ] && echo Mirrored\n')
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert wsl.networking_mode() == "mirrored"
    tool.write_text("#!/bin/sh\necho 'Invalid command line argument'; exit 1\n")
    assert wsl.networking_mode() == ""


def test_sentence_names_mode_port_and_page() -> None:
    assert (PROJECT_DIR / wsl.PAGE).is_file()
    for mode, said in {"nat": "NAT", "mirrored": "mirrored", "": "not known", "virtioproxy": "virtioproxy"}.items():
        line = wsl.sentence(mode, 8081)
        assert said in line
        assert "8081" in line
        assert wsl.PAGE in line
        assert "\n" not in line

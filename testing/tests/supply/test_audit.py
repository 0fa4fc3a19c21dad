"""The audit: what it looks for is found, and its exit codes say what they say."""

from __future__ import annotations

import subprocess
from pathlib import Path

import audit
import pytest

SECRET = "ghp_" + "a1B2" * 9


def git(folder: Path, *arguments: str) -> None:
    name = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.mark.parametrize(
    ("licence", "fits"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("GNU Library or Lesser General Public License (LGPL)", True),
        ("LGPL-3.0-or-later", True),
        ("Mozilla Public License 2.0 (MPL 2.0)", True),
        ("GPL-3.0-or-later", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("AGPL-3.0-only", False),
        ("CC-BY-NC-4.0", False),
        ("BUSL-1.1", False),
        ("LicenseRef-NVIDIA-Proprietary", False),
        ("", False),
    ],
)
def test_licence_that_does_not_go_with_mit_is_told(licence: str, fits: bool) -> None:
    assert (list(audit.unfit_licences({"some-package": licence})) == []) == fits


def test_accepted_exception_is_not_told() -> None:
    assert list(audit.unfit_licences({"nvidia-cublas": "LicenseRef-NVIDIA-Proprietary"})) == []


def test_packages_of_this_environment_fit() -> None:
    assert list(audit.unfit_licences()) == []


def test_secret_that_was_taken_out_again_is_found_in_the_history(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "settings.py").write_text(f"TOKEN = '{SECRET}'\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    (tmp_path / "settings.py").write_text("TOKEN = ''\n")
    git(tmp_path, "commit", "--quiet", "-a", "-m", "second")
    (found, *_) = audit.secrets_in_history(tmp_path)
    assert "settings.py: token of a code host" in found
    assert SECRET not in found


def test_history_that_cannot_be_read_is_no_all_clear(tmp_path: Path) -> None:
    assert list(audit.secrets_in_history(tmp_path)) != []


def test_open_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMG_ENV_FILE", str(tmp_path / ".env"))
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "logs"))
    (tmp_path / "data" / "backups").mkdir(parents=True)
    for path in (tmp_path / ".env", tmp_path / "data" / "backups" / "x.sql.gz.age"):
        path.write_bytes(b"")
        path.chmod(0o644)
    assert len([line for line in audit.open_files() if "others may read it" in line]) == 2
    for path in (tmp_path / ".env", tmp_path / "data" / "backups" / "x.sql.gz.age"):
        path.chmod(0o600)
    assert list(audit.open_files()) == []


@pytest.mark.parametrize(
    ("parts", "lists", "code", "said"),
    [
        ([], ([], ""), 0, "All clear."),
        (["found"], ([], ""), 1, "Something was found."),
        ([], (["numpy 1.0 CVE"], ""), 1, "Something was found."),
        ([], ([], "no network"), 2, "All clear, except"),
        (["found"], ([], "no network"), 1, "Something was found."),
    ],
)
def test_exit_code_tells_clear_found_and_not_asked(parts, lists, code, said, monkeypatch, capsys) -> None:
    monkeypatch.setattr(audit, "PARTS", (("a part", lambda: iter(parts)),))
    monkeypatch.setattr(audit, "known_vulnerabilities", lambda: lists)
    assert audit.main() == code
    assert said in capsys.readouterr().out


def test_lists_that_cannot_be_asked_are_no_all_clear(monkeypatch) -> None:
    def away(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "ConnectionError: no network\n")

    monkeypatch.setattr(audit.subprocess, "run", away)
    assert audit.known_vulnerabilities() == ([], "ConnectionError: no network")


def test_vulnerability_is_told(monkeypatch) -> None:
    def lists(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        table = "Name  Version ID\n----- ------- -------------\nnumpy 1.0     CVE-2099-0001\n"
        return subprocess.CompletedProcess([], 1, table, "Found 1 known vulnerability in 1 package\n")

    monkeypatch.setattr(audit.subprocess, "run", lists)
    found, why = audit.known_vulnerabilities()
    assert found[0].startswith("numpy 1.0 ")
    assert why == ""

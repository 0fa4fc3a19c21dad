"""Rotation of a log whose writer knows nothing of it."""

from __future__ import annotations

from pathlib import Path

from semg.platform.supervision.log_rotation import rotate


def test_small_or_missing_log_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    assert not rotate(log, 100, 2)
    log.write_bytes(b"a" * 100)
    assert not rotate(log, 100, 2)
    assert log.stat().st_size == 100


def test_writer_goes_on_at_the_start_of_the_emptied_log(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 200)
        assert rotate(log, 100, 2)
        writer.write(b"b")
    assert log.read_bytes() == b"b"
    assert (tmp_path / "x.log.1").read_bytes() == b"a" * 200


def test_only_so_many_backups_are_kept_newest_first(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    for letter in (b"a", b"b", b"c", b"d"):
        log.write_bytes(letter * 200)
        assert rotate(log, 100, 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.log", "x.log.1", "x.log.2"]
    assert (tmp_path / "x.log.1").read_bytes()[:1] == b"d"
    assert (tmp_path / "x.log.2").read_bytes()[:1] == b"c"


def test_rotated_log_is_the_owners_whatever_the_log_was(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    for _ in range(3):
        log.write_bytes(b"a" * 200)
        log.chmod(0o644)
        rotate(log, 100, 2)
        assert (tmp_path / "x.log.1").stat().st_mode & 0o777 == 0o600

"""Files with people's data: closed to others, whole, and gone after a process that was killed."""

from __future__ import annotations

import os
from pathlib import Path

from semg.security import private_files


def test_written_file_and_its_folder_are_closed_to_others(tmp_path: Path) -> None:
    folder = tmp_path / "bases"
    folder.mkdir(mode=0o755)
    private_files.make_folder(folder)
    path = folder / "one.safetensors"
    private_files.write(path, b"first")
    path.chmod(0o644)
    private_files.write(path, b"second")
    assert path.read_bytes() == b"second"
    assert [one.stat().st_mode & 0o777 for one in (folder, path)] == [0o700, 0o600]
    assert list(folder.iterdir()) == [path]


def test_scratch_is_private_below_the_data_folder_and_gone_afterwards(tmp_path: Path) -> None:
    with private_files.scratch(tmp_path) as folder:
        (folder / "upload.csv").write_bytes(b"1,2")
        assert folder.parent == tmp_path / "tmp"
        assert [one.stat().st_mode & 0o777 for one in (folder.parent, folder)] == [0o700, 0o700]
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_a_killed_process_left_in_scratch_goes(tmp_path: Path) -> None:
    private_files.clear_scratch(tmp_path)  # nothing there
    with private_files.scratch(tmp_path) as used:
        left = tmp_path / "tmp" / "left"
        left.mkdir()
        (left / "upload.csv").write_bytes(b"1,2")
        os.utime(left, (0, 0))
        private_files.clear_scratch(tmp_path, private_files.LEFT_S)
        assert list((tmp_path / "tmp").iterdir()) == [used]


def test_log_is_the_owners_from_its_first_byte_and_an_open_one_is_closed(tmp_path: Path) -> None:
    path, old_umask = tmp_path / "logs" / "x.log", os.umask(0)
    try:
        with private_files.open_log(path) as out:
            out.write(b"one ")
            assert [one.stat().st_mode & 0o777 for one in (path.parent, path)] == [0o700, 0o600]
    finally:
        os.umask(old_umask)
    path.chmod(0o644)
    with private_files.open_log(path) as out:
        out.write(b"two")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"one two"


def test_logs_of_an_earlier_version_are_closed_and_other_files_left_alone(tmp_path: Path) -> None:
    ours, others = ["api.log", "api.log.1", "api.log.12"], ["syslog", "apiary.log", "api.logs"]
    for name in (*ours, *others):
        (tmp_path / name).touch(0o644)
        (tmp_path / name).chmod(0o644)
    (tmp_path / "nats.log").symlink_to(tmp_path / "syslog")
    private_files.close_logs(tmp_path, ["api", "nats", "missing"])
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ours} == {0o600}
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in others} == {0o644}

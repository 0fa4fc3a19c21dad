"""Encrypted streams: what was written comes back, what was changed never does, and the standard program agrees."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.errors import EncryptedFileError, SettingsError
from semg.security import age_files
from testing.tests.conftest import skip_or_fail

SECRET = age_files.make_identity()
KEYS = age_files.read_identities(SECRET, "the test")
PUBLIC = [key.to_public() for key in KEYS]


def encrypt(path: Path, content: bytes) -> None:
    with path.open("wb") as raw, age_files.encrypting(raw, PUBLIC) as out:
        out.write(content)


def decrypt(path: Path, keys=KEYS) -> bytes:
    with age_files.decrypting(path, keys) as content:
        return content.read()


@given(content=st.binary(max_size=300) | st.integers(0, 200_000).map(bytes))
def test_what_was_written_comes_back(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("age") / "file.age"
    encrypt(path, content)
    assert age_files.is_age(path)
    assert len(content) < 32 or content not in path.read_bytes()
    assert decrypt(path) == content


@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7) | st.none())
def test_no_changed_or_shortened_file_gives_anything_as_whole(
    tmp_path_factory: pytest.TempPathFactory, at: float, bit: int | None
) -> None:
    path = tmp_path_factory.mktemp("age") / "file.age"
    encrypt(path, bytes(150_000))
    whole = bytearray(path.read_bytes())
    index = int(at * len(whole))
    if bit is None:
        del whole[index:]
    else:
        whole[index] ^= 1 << bit
    path.write_bytes(whole)
    with pytest.raises(EncryptedFileError, match=r"changed|cut off|another key"):
        decrypt(path)


def test_bytes_after_the_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.age"
    encrypt(path, b"x" * 70_000)
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(EncryptedFileError, match="changed or cut off"):
        decrypt(path)


def test_another_key_opens_nothing_and_is_named_as_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "file.age"
    encrypt(path, b"content")
    with pytest.raises(EncryptedFileError, match="another key"):
        decrypt(path, age_files.read_identities(age_files.make_identity(), "another"))


@pytest.mark.parametrize("n_bytes", [10, 3_000_000])
def test_full_disk_is_an_error_also_at_the_last_byte(n_bytes: int) -> None:
    """The library itself loses an error of its last write."""
    with pytest.raises(OSError, match="No space left"):  # noqa: SIM117
        with open("/dev/full", "wb", 0) as raw, age_files.encrypting(raw, PUBLIC) as out:
            out.write(b"x" * n_bytes)


def test_reader_that_stops_early_leaves_no_thread(tmp_path: Path) -> None:
    path = tmp_path / "file.age"
    encrypt(path, bytes(5_000_000))
    with age_files.decrypting(path, KEYS) as content:
        assert content.read(10) == bytes(10)
    with pytest.raises(RuntimeError, match="mine"), age_files.decrypting(path, KEYS):
        raise RuntimeError("mine")


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    code = f"""
import sys, resource
from pathlib import Path
from semg.security import age_files
keys = age_files.read_identities({SECRET!r}, "the test")
path = Path({str(tmp_path / "large.age")!r})
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
with path.open("wb") as raw, age_files.encrypting(raw, [keys[0].to_public()]) as out:
    for _ in range(100): out.write(bytes(1 << 20))
n = 0
with age_files.decrypting(path, keys) as content:
    while part := content.read(1 << 20): n += len(part)
assert n == 100 << 20, n
print(peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    in_kib = 1 if sys.platform == "linux" else 1024
    assert int(done.stdout) / in_kib < 20 << 10


@pytest.mark.parametrize("text", ["age1nonsense", "ssh-ed25519 AAAA", SECRET])
def test_public_key_that_is_none_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match="BACKUP_RECIPIENT") as caught:
        age_files.read_recipients(text)
    assert text not in str(caught.value)


@pytest.mark.parametrize("text", ["", "# only a comment\n", "AGE-SECRET-KEY-1NONSENSE", str(PUBLIC[0])])
def test_private_key_that_is_none_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(SettingsError, match=r"key\.txt") as caught:
        age_files.read_identities(text, "key.txt")
    assert not text or text not in str(caught.value)


@pytest.fixture
def age() -> str:
    program = shutil.which("age")
    if program is None:
        skip_or_fail("Debian's age is not there")
    return str(program)


def test_standard_program_opens_what_was_written_here(age: str, tmp_path: Path) -> None:
    content = bytes(range(256)) * 2000
    encrypt(tmp_path / "file.age", content)
    (tmp_path / "key.txt").write_text(f"# created: now\n{SECRET}\n")
    done = subprocess.run(
        [age, "--decrypt", "--identity", tmp_path / "key.txt", tmp_path / "file.age"], capture_output=True, check=True
    )
    assert done.stdout == content


def test_what_the_standard_program_wrote_is_opened_here(age: str, tmp_path: Path) -> None:
    made = subprocess.run([Path(age).with_name("age-keygen")], capture_output=True, text=True, check=True).stdout
    keys = age_files.read_identities(made, "age-keygen's file")
    content = bytes(range(256)) * 2000
    command = [age, "--encrypt", "--recipient", str(keys[0].to_public()), "--output", tmp_path / "file.age"]
    subprocess.run(command, input=content, check=True)
    assert decrypt(tmp_path / "file.age", keys) == content

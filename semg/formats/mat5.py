"""Tables of numbers in MATLAB's files of version 5, read within bounds.

scipy's reader is none for files of strangers: some changed bytes, and 1.17 ends the process by a segmentation fault.
Format: MathWorks, *MAT-File Format*, R2023a, chapter 1.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from semg.errors import RecordingError

HEAD_BYTES, MAX_VARIABLES = 128, 10_000
_COMPRESSED, _MATRIX = 15, 14
_NUMERIC = range(6, 16)
"""Classes of arrays from double to uint64; others are texts, cells, structures and sparse ones."""
_COMPLEX = 0x08
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_LOOKED_AT, _PIECE = 4096, 1 << 20


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a file, as its head says it.

    Attributes
    ----------
    shape
        As MATLAB has it, rows first.
    numeric
        Whether it is a full array of real numbers.
    at, length
        Where its element lies in the file.
    data_at
        Where its values begin, from the begin of the matrix on.
    """

    name: str
    shape: tuple[int, ...]
    numeric: bool
    at: int
    length: int
    compressed: bool
    data_at: int


def is_mat(path: Path) -> bool:
    """Return whether a file begins as MATLAB's files of version 5 do."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return len(head) == HEAD_BYTES and head[:6] == b"MATLAB" and head[126:128] in (b"IM", b"MI")


def _order(file: BinaryIO) -> str:
    file.seek(126)
    return "<" if file.read(2) == b"IM" else ">"


def variables_of(path: Path) -> list[Variable]:
    """Return the variables of a file, unpacking no more than the head of each.

    Raises
    ------
    RecordingError
        It is damaged, or says lengths that it does not have.
    """
    size = path.stat().st_size
    found: list[Variable] = []
    with path.open("rb") as file:
        order = _order(file)
        while len(tag := file.read(8)) == 8:
            kind, length = struct.unpack(order + "II", tag)
            at = file.tell()
            if length > size - at or len(found) >= MAX_VARIABLES:
                raise RecordingError(f"{path.name} is damaged or cut off: a variable says {length:,} bytes")
            if kind == _COMPRESSED:
                head = _unpacked(file, at, length, _LOOKED_AT, path)
                kind, head = int.from_bytes(head[:4], "little" if order == "<" else "big"), head[8:]
                variable = _variable(head, order, path, at, length, compressed=True) if kind == _MATRIX else None
            else:
                head = file.read(min(length, _LOOKED_AT))
                variable = _variable(head, order, path, at, length, compressed=False) if kind == _MATRIX else None
            if variable is not None:
                found.append(variable)
            file.seek(at + length)
    return found


def load(path: Path, variable: Variable) -> NDArray[Any]:
    """Return a numeric variable, whose shape was found to be no larger than it may be.

    Raises
    ------
    RecordingError
        Its values are not as many as its shape says.
    """
    n = 1
    for one in variable.shape:
        n *= one
    with path.open("rb") as file:
        order = _order(file)
        if variable.compressed:
            content = _unpacked(file, variable.at, variable.length, 8 + variable.data_at + 8 + 8 * n, path)[8:]
        else:
            file.seek(variable.at)
            content = file.read(min(variable.length, variable.data_at + 8 + 8 * n))
    kind, length, begin = _tag(content, order, variable.data_at, path)
    values = content[begin : begin + length]
    dtype = np.dtype(order + _TYPES[kind]) if kind in _TYPES else None
    if dtype is None or length != n * dtype.itemsize or len(values) != length:
        raise RecordingError(
            f"{path.name} is damaged: “{variable.name}” should have {n:,} values, and has {length:,} bytes of type "
            f"{kind}"
        )
    return np.frombuffer(values, dtype).reshape(variable.shape, order="F").astype(dtype.newbyteorder("="))


def _unpacked(file: BinaryIO, at: int, length: int, most: int, path: Path) -> bytes:
    """Return at most so many bytes of what a compressed element unpacks to."""
    unpacker, out = zlib.decompressobj(), bytearray()
    file.seek(at)
    try:
        for packed in _pieces(file, length):
            while packed and len(out) < most and not unpacker.eof:
                out += unpacker.decompress(packed, most - len(out))
                packed = unpacker.unconsumed_tail
            if len(out) >= most or unpacker.eof:
                break
    except zlib.error as exc:
        raise RecordingError(f"{path.name} is damaged: a variable cannot be unpacked") from exc
    return bytes(out)


def _pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (piece := file.read(min(length, _PIECE))):
        length -= len(piece)
        yield piece


def _tag(content: bytes, order: str, at: int, path: Path) -> tuple[int, int, int]:
    """Return the type and the length of an element, and where its data begin; four bytes stand in the tag itself."""
    if at < 0 or at + 8 > len(content):
        raise RecordingError(f"{path.name} is damaged: a variable ends within its head")
    (word,) = struct.unpack_from(order + "I", content, at)
    if word >> 16:
        return word & 0xFFFF, min(word >> 16, 4), at + 4
    return word, struct.unpack_from(order + "I", content, at + 4)[0], at + 8


def _variable(head: bytes, order: str, path: Path, at: int, length: int, *, compressed: bool) -> Variable:
    """Return what the beginning of a matrix says: flags, shape, name."""
    kind, n_flags, begin = _tag(head, order, 0, path)
    if kind != 6 or n_flags != 8 or begin + 8 > len(head):
        raise RecordingError(f"{path.name} is damaged: a variable begins without its flags")
    (flags,) = struct.unpack_from(order + "I", head, begin)
    kind, n_bytes, begin = _tag(head, order, 16, path)
    if kind != 5 or not 8 <= n_bytes <= 64 or n_bytes % 4 or begin + n_bytes > len(head):
        raise RecordingError(f"{path.name} is damaged: a variable has a shape of {n_bytes:,} bytes")
    shape = struct.unpack_from(f"{order}{n_bytes // 4}i", head, begin)
    name_at = 24 + n_bytes + -n_bytes % 8
    kind, n_bytes, begin = _tag(head, order, name_at, path)
    if kind != 1 or n_bytes > 1024 or begin + n_bytes > len(head) or min(shape) < 0:
        raise RecordingError(f"{path.name} is damaged: a variable has a name of {n_bytes:,} bytes, or a negative shape")
    return Variable(
        name=head[begin : begin + n_bytes].decode("latin-1"),
        shape=shape,
        numeric=(flags & 0xFF) in _NUMERIC and not (flags >> 8) & _COMPLEX,
        at=at,
        length=length,
        compressed=compressed,
        data_at=begin + 4 if begin == name_at + 4 else begin + n_bytes + -n_bytes % 8,
    )

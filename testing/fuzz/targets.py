"""What is fuzzed: one function a decoder, which takes any bytes and raises only when something is wrong.

Each calls the decoder as its service does, lets pass the error that it promises for bad bytes, and looks at what good
bytes gave. ``run.py`` gives them bytes by coverage, ``testing/tests/fuzz`` random ones and the kept seeds.
"""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors.numpy import save

from semg.block_table import BlockTable
from semg.capture import prompt_decoder
from semg.capture.prompt_media import order_for
from semg.domain import Device
from semg.errors import ArtifactError, EncryptedFileError, RecordingError, StoreError, WireError
from semg.ingest.boards.datagrams import KnownBoard
from semg.ingest.pipeline import Pipeline
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.ingest.text.decoder import decode_batch
from semg.recordings.csv_format import UPLOAD, load_recording
from semg.security import tokens
from semg.security.encrypted_files import Vault
from semg.signals.display import summary
from semg.signals.model.classifier import Classifier
from semg.signals.training.population_prior import PopulationPrior
from semg.signals.training.population_prior import _digest as digest_of_base
from semg.store.block_rows import decoded_rows
from semg.store.gestures import media_type_of
from semg.video.files import files_of
from semg.video.frame_clock import frame_times, rising
from semg.video.part_log import read_log
from semg.wire import blocks, messages, windows
from semg.wire.http import PredictRequest
from semg.wire.udp import decode_v1, encode_v1
from semg.wire.udp2 import HEADER, MAGIC, Key, decode_v2
from testing.kits.video_kit import read_times

SECRET = "f" * 48  # the fuzzer's own
T0_US = 1_790_000_000_000_000
USER_ID, BOARD_USER_ID, BOARD_ID = 21, 22, 9
CHANNELS = ("a0", "a1")
KEY = Key(bytes(range(32)))
SEALED_TEXT = b"the content of the sealed seed"


def text_datagram(data: bytes) -> None:
    """Feed one text datagram to both decoders: they must agree."""
    batch = decode_batch(DatagramBatch.of([(data, T0_US, ("127.0.0.1", 1))] * 7))
    try:
        samples, reason = decode_v1(data), ""
    except WireError as exc:
        samples, reason = (), exc.reason
    assert batch.refused == (dict.fromkeys(range(7), reason) if reason else {})
    n = len(samples)
    assert batch.counts.tolist() == [n] * 7
    assert batch.user_ids.tolist() == [samples[0].user_id if samples else 0] * 7
    assert batch.device_ms[:n].tolist() == [sample.device_ms for sample in samples]
    values = [value for sample in samples for value in sample.values]
    assert batch.values[: len(values)].tolist() == np.array(values, np.float32).tolist()


def binary_datagram(data: bytes) -> None:
    """Feed one binary datagram; one that is read is of the length that it says."""
    try:
        datagram = decode_v2(data)
    except WireError:
        return
    assert HEADER.size + 2 * datagram.samples.size < len(data)


def datagrams(data: bytes) -> None:
    """Feed a stream of datagrams, good and bad, to everything between the socket and the bus."""
    counters = Counters()
    pipeline = Pipeline(25_000, counters)
    board = KnownBoard(BOARD_ID, BOARD_USER_ID, KEY)
    pipeline.set_registry(
        [Device(user_id, CHANNELS, 200.0, allow_v1=True) for user_id in (USER_ID, BOARD_USER_ID)], [board]
    )
    made, at_us, n = [], T0_US, 0
    for some, step_us in _streams(data):
        at_us += step_us
        n += len(some)
        table = pipeline.process(DatagramBatch.of([(one, at_us, ("127.0.0.1", 9)) for one in some]), at_us)
        made.append(table)
    made.append(pipeline.finish(at_us + 1_000_000))
    assert counters.received == n
    table = BlockTable.joined(made)
    # A repeated text, or one whose time is none, is accepted and dropped; a repeated signed datagram is only dropped.
    dropped = sum(counters.dropped[reason] for reason in ("duplicate", "time_unit", "time_jump", "time_stands"))
    assert counters.accepted - dropped <= table.n_samples <= counters.accepted
    # What came out must pass the journal unchanged.
    again = blocks.decode_table(blocks.encode_table(table.merged())) if len(table) else table
    assert again.n_samples == table.n_samples


def _streams(data: bytes) -> Iterator[tuple[list[bytes], int]]:
    """Read bytes as commands: what kind of datagram, how much later, and what stands in it."""
    source, kept = io.BytesIO(data), b""
    waiting: list[bytes] = []
    while head := source.read(2):
        kind, step = head[0], head[-1]
        if kind % 5 == 0:
            waiting.append(source.read(step))
        elif kind % 5 == 1:
            fields = source.read(8).ljust(8, b"\0")
            device_ms, value = struct.unpack("<Ii", fields)
            kept = encode_v1(USER_ID, device_ms * (1 + (kind > 200) * 900), [value % 5000, step])
            waiting.append(kept)
        elif kind % 5 == 2:
            waiting.append(_signed(source.read(24).ljust(24, b"\0"), step))
        elif kind % 5 == 3:
            waiting.append(kept)
        else:
            yield waiting, (step - 16) * (1 << (kind % 24))
            waiting = []
    yield waiting, 5000


def _signed(fields: bytes, step: int) -> bytes:
    boot, sequence, device_us, period_ns, channels, n = struct.unpack("<IIQIBB2x", fields)
    if step & 1:
        boot, channels, n, period_ns = boot % 4, 2, n % 8 + 1, 5_000_000
    head = HEADER.pack(MAGIC, 0, BOARD_ID, boot, sequence, device_us, period_ns, channels, n, 0, 0, 255)
    body = head + bytes(range(2 * min(channels * n, 120)))[: 2 * channels * n]
    return body + KEY.tag(body)


def block_message(data: bytes) -> None:
    """Feed a message of the journal or of the live path."""
    try:
        table = blocks.decode_table(data)
    except WireError:
        return
    assert table.n_samples == int(table.counts.sum())
    assert len(table.blocks()) == len(table)
    assert blocks.decode_table(blocks.encode_table(table)).n_samples == table.n_samples
    table.merged()


def window_request(data: bytes) -> None:
    """Feed the body of ``POST /predict/windows``."""
    try:
        parts = windows.decode_alike(data)
    except WireError:
        return
    for part in parts:
        assert np.isfinite(part.windows).all()


def window_answer(data: bytes) -> None:
    """Feed the API's answer to windows."""
    try:
        answers = windows.decode_answer_table(data)
    except WireError:
        return
    assert len(answers.user_ids) == len(answers)


def bus_message(data: bytes) -> None:
    """Feed JSON that came over the bus."""
    kinds: tuple[Any, ...] = (
        messages.ModelActivated, messages.ProfileChanged, messages.SessionEdge, messages.DecisionMessage,
    )  # fmt: skip
    for kind in kinds:
        try:
            message = kind.from_bytes(data)
        except WireError:
            continue
        assert kind.from_bytes(message.to_bytes()) == message
    try:
        messages.watched_profile(data.decode("latin-1"))
    except WireError:
        return


def token(data: bytes) -> None:
    """Feed what a browser shows as its token."""
    for purpose in (tokens.LIVE, tokens.VIDEO, tokens.EXPORT):
        try:
            tokens.read_login_of(SECRET, purpose, data.decode("utf-8", "replace"), "1")
        except WireError:
            continue
        raise AssertionError("a token that nobody made was taken")


def predict_body(data: bytes) -> None:
    """Feed the JSON body of ``POST /predict``."""
    try:
        request = PredictRequest.model_validate_json(data)
    except ValidationError:
        return
    assert all(np.isfinite(np.array(row, np.float32)).all() for row in request.data)


def recording(data: bytes) -> None:
    """Feed a recording that somebody uploads, packed or not."""
    path = Path(_folder().name) / "recording.csv"
    path.write_bytes(data)
    try:
        loaded = load_recording(path, limits=UPLOAD)
    except RecordingError:
        return
    labelled = loaded.labelled
    assert len(labelled.samples) == len(labelled.stretch) == len(loaded.device_ms) >= 2
    assert np.isfinite(labelled.samples).all()


def prompt(data: bytes) -> None:
    """Feed a picture or video that somebody uploads."""
    kind = media_type_of(data)
    if kind is None:
        return
    order = order_for(kind)
    with suppress(prompt_decoder.Refused):  # in this process, whose coverage guides the fuzzer
        (prompt_decoder.check_picture if order["is_picture"] else prompt_decoder.check_video)(data, order)


def classifier(data: bytes) -> None:
    """Feed a model as the database may have it."""
    try:
        Classifier.from_bytes(data)
    except ArtifactError:
        return
    raise AssertionError("a classifier whose digest nobody made was taken")


def base(data: bytes) -> None:
    """Feed a base's file, or its description alone, which is then signed as if this program had written it."""
    if data.startswith(b"{"):
        text, arrays = data.decode("utf-8", "replace"), _base_arrays()
        data = bytes(save(arrays, metadata={"semg": digest_of_base(text, arrays) + text}))
    try:
        found = PopulationPrior.from_bytes(data)
    except ArtifactError:
        return
    assert PopulationPrior.from_bytes(found.to_bytes()).to_bytes() == found.to_bytes()
    assert found.without(names=[person.name for person in found.people]).people == ()


def _base_arrays() -> dict[str, NDArray[np.float32]]:
    """Return the matrices of a person with two gestures and two features."""
    upper, means = np.array([1, 0, 1], np.float32), np.array([[0, 1], [1, 0]], np.float32)
    kept = {"within": upper, "repetition": upper, "means": means, "turn_means": means, "turn_covariance": upper}
    return {f"0_{what}": matrix for what, matrix in kept.items()}


def sample_summary(data: bytes) -> None:
    """Feed the stored summary of a minute, and draw what was read."""
    try:
        found = summary.from_bytes(data)
    except ValueError:
        return
    assert (found.count > 0).all()
    drawn = summary.draw(found, found.first_us, found.first_us + 60_000_000, 100)
    assert drawn is None or drawn.n_samples <= found.n_samples
    whole = summary.join([found, found], 200.0)
    assert whole is not None
    assert whole.n_samples == 2 * found.n_samples


def sealed_file(data: bytes) -> None:
    """Feed an encrypted file: it is refused, cut off, or what was written, never anything else."""
    path = Path(_folder().name) / "sealed"
    path.write_bytes(data)
    try:
        with Vault(SECRET).open(path, "fuzz") as file:
            content, complete = file.read(), file.complete
    except EncryptedFileError:
        return
    assert content == (SEALED_TEXT if complete else b"")


def video_log(data: bytes) -> None:
    """Feed what is written down beside a video's pictures, and the times of a finished one."""
    rows = read_log(io.BytesIO(data))  # type: ignore[arg-type]
    assert 32 * (len(rows.media) + len(rows.report_media)) <= len(data)
    if len(rows.media):
        server_us, _ = frame_times(rows)
        assert len(rising(server_us, None)) == len(rows.media)
    path = Path(_folder().name) / "1.times"
    path.write_bytes(data)
    try:
        times_us = read_times(files_of(path.parent, 1, Vault(SECRET)))
    except EncryptedFileError:  # it begins as an encrypted file does
        return
    assert len(times_us) == len(data) // 8


def packed_rows(data: bytes) -> None:
    """Feed what PostgreSQL sends of stored samples."""
    try:
        table = decoded_rows(data)
    except StoreError:
        return
    assert table.n_samples == int(table.counts.sum()) == len(table.device_us)
    assert len(table.values) == int(table.value_counts.sum())
    assert len(table.blocks()) == len(table)


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="semg-fuzz-")


TARGETS: dict[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (
        text_datagram, binary_datagram, datagrams, block_message, window_request, window_answer, bus_message, token,
        predict_body, recording, prompt, classifier, base, sample_summary, sealed_file, video_log, packed_rows,
    )
}  # fmt: skip

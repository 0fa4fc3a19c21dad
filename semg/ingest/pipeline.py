"""Turn batches of datagrams into blocks: everything between the socket and the bus, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.block_table import BlockTable
from semg.domain import Device
from semg.ingest.boards.datagrams import FIRST_BYTE, Boards, KnownBoard
from semg.ingest.profile_stats import ProfileStats
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.ingest.streams.drop_codes import CODE, DROP_CODES, OK, count_refused
from semg.ingest.streams.limits import Budgets
from semg.ingest.streams.sources import BatchResult, Sources
from semg.ingest.text.active_senders import ActiveSenders
from semg.ingest.text.batch_text_stream import Batch, BatchTextStream
from semg.ingest.text.decoder import TextSamples, decode_batch
from semg.ingest.text.networks import Networks
from semg.wire.stream_status import ReceivedStatus


class Pipeline:
    """Decodes, authenticates and reorders datagrams. Not safe to use from several threads.

    A profile gets samples from one sender at a time (``active_senders``): when a board that is assigned to it begins to
    send, or text begins after the board has fallen silent, the earlier stream ends and a new segment starts.

    Parameters
    ----------
    wait_us
        How long a suspected gap is held open.
    counters
        Incremented here; a dropped datagram under its drop code.
    text_networks
        Networks from which text datagrams are accepted.
    """

    def __init__(self, wait_us: int, counters: Counters, text_networks: Networks | None = None) -> None:
        self.counters = counters
        self._text_networks = text_networks or Networks()
        self.sources = Sources(counters)
        self._devices: dict[int, Device] = {}
        self._senders: dict[int, int] = {}
        self._numbers = np.zeros(0, np.int64)
        self._profile_indices = np.zeros(0, np.int64)
        self._widths = np.zeros(0, np.int64)
        self._allowed = np.zeros(0, bool)
        self._consented = np.zeros(0, bool)
        self._budgets = Budgets([])
        self._user_ids = np.zeros(0, np.int64)
        self._active = ActiveSenders(0)
        self._stats = ProfileStats(counters)
        self._ready: list[BlockTable] = []
        self.boards = Boards(wait_us, counters, self._ready.append, self._end_text)
        self._texts = BatchTextStream(wait_us, counters, self._ready.append, self.boards.leave)

    @property
    def holds(self) -> bool:
        """Whether samples wait for a gap to be filled, so that ``process`` must be called again soon."""
        return bool(self._ready) or self._texts.holds or self.boards.holds

    @property
    def n_devices(self) -> int:
        """Number of registered devices."""
        return len(self._devices)

    def set_registry(
        self, devices: Iterable[Device], boards: Iterable[KnownBoard], senders: Mapping[int, int] | None = None
    ) -> None:
        """Apply the devices, the boards, and the profiles to which other numbers in text are assigned.

        The senders' data for a removed profile is cleared, whatever number or board it came by.
        """
        assigned, before = dict(senders or {}), self._senders
        if assigned != before:
            self._senders = assigned
            self._index_profiles()
        gone = self.set_devices(devices)
        self.sources.forget({number for number, user_id in before.items() if user_id in gone})
        self.boards.set_boards(boards)

    def set_devices(self, devices: Iterable[Device]) -> set[int]:
        """Apply the devices, and return the profiles whose devices were removed. A changed device starts a run.

        The senders' data under the number of a removed profile is cleared.
        """
        known = {device.user_id: device for device in devices}
        if known == self._devices:
            return set()
        gone = self._devices.keys() - known.keys()
        self.sources.forget(gone)
        self._texts.set_devices(known)
        self.boards.set_devices(known)
        self._devices = known
        in_order = [known[user_id] for user_id in sorted(known)]
        self._index_profiles()
        user_ids = np.array(sorted(known), np.int64)
        _, before, after = np.intersect1d(self._user_ids, user_ids, assume_unique=True, return_indices=True)
        self._active = self._active.moved(len(user_ids), before, after)
        self._user_ids = user_ids
        self._stats.set_profiles(sorted(known))
        self._widths = np.array([device.n_channels for device in in_order], np.int64)
        self._allowed = np.array([device.allow_v1 for device in in_order], bool)
        self._consented = np.array([device.consented for device in in_order], bool)
        self._budgets = Budgets([device.rate_hz for device in in_order])
        return gone

    def process(self, batch: DatagramBatch, now_us: int) -> BlockTable:
        """Return the blocks that a batch completes, and those whose wait for a missing sample has expired."""
        if len(batch):
            self.counters.received += len(batch)
            senders = batch.senders
            surplus = self.sources.surplus(senders, now_us)
            if surplus is not None:
                surplus &= ~self.boards.worth_verifying(batch, surplus)
                self.counters.dropped["rate_limited"] += int(surplus.sum())
                batch, senders = batch.where(~surplus), senders[~surplus]
            binary = (batch.data[:, 0] == FIRST_BYTE) & (batch.sizes > 0)
            for chosen, take in ((~binary, self._take_texts), (binary, self._take_boards)):
                if chosen.any():
                    own = batch.where(chosen) if not chosen.all() else batch
                    result = take(own, senders[chosen], now_us)
                    count_refused(self.counters.dropped, result.codes)
                    self.sources.note(own, senders[chosen], result, now_us)
        self.boards.release(now_us)
        self._texts.release(now_us)
        return self._take_ready()

    def sources_table(self, now_us: int) -> list[dict[str, Any]]:
        """Return the rows of ``Sources.table``, with the clock accuracy of the senders that are stored.

        ``clock_error_ms`` bounds the error of a sample's server time, except for the network's minimum delay, which
        cannot be measured from one side; it is never below the resolution of the device's time stamps.
        ``clock_drift_ppm`` is how much faster the server's clock runs. Both are None for a refused sender.
        """
        rows = self.sources.table(now_us)
        for row in rows:
            user_id = row["user_id"] if row["state"] == DROP_CODES[OK] else None
            if user_id is not None and user_id not in self._devices:
                user_id = self._senders.get(user_id)
            error_ms, row["clock_drift_ppm"] = (None, None) if user_id is None else self._clock(user_id)
            row["clock_error_ms"] = error_ms
        return rows

    def streams_table(self, now_us: int) -> dict[int, ReceivedStatus]:
        """Return the recent status of each profile's stream; call it once a second."""
        return self._stats.table(now_us, lambda user_id: self._clock(user_id)[0])

    def finish(self, now_us: int) -> BlockTable:
        """Return everything that is still held, without waiting longer."""
        self.boards.release(now_us, everything=True)
        self._texts.end_all()
        return self._take_ready()

    def _clock(self, user_id: int) -> tuple[float | None, float | None]:
        """Return the error bound of a profile's clock, ms, and its drift, ppm; None where unknown."""
        clock, resolution_us = self._texts.clock_of(user_id) or (self.boards.clock_of(user_id), 0)
        if clock is None or clock.error_bound_us == float("inf"):
            return None, None
        return round((clock.error_bound_us + resolution_us) / 1000, 2), round(clock.drift_ppm, 1)

    def _take_boards(self, batch: DatagramBatch, _: NDArray[np.uint64], now_us: int) -> BatchResult:
        """Process signed datagrams and return their result."""
        result = self.boards.push(batch, now_us)
        if len(self._user_ids):
            found = np.minimum(np.searchsorted(self._user_ids, result.user_ids), len(self._user_ids) - 1)
            profiles = np.where(self._user_ids[found] == result.user_ids, found, -1)
            taken = (result.codes == OK) & (profiles >= 0)
            self._active.note_boards(profiles[taken], batch.received_us[taken])
            self._stats.note(profiles, result.codes, result.widths, batch.addresses, now_us)
            self._stats.note_boards(profiles, result)
        return result

    def _take_texts(self, batch: DatagramBatch, senders: NDArray[np.uint64], now_us: int) -> BatchResult:
        """Process text datagrams and return their result."""
        texts = decode_batch(batch)
        profiles, codes = self._judge_texts(batch, texts)
        good = np.flatnonzero(codes == OK)
        if len(good):
            admitted = self._active.admit(profiles[good], senders[good], batch.addresses[good], batch.received_us[good])
            codes[good[~admitted]] = CODE["second_sender"]
            good = good[admitted]
            admitted = self._budgets.admit(profiles[good], texts.counts[good], now_us)
            codes[good[~admitted]] = CODE["rate_limited"]
            good = good[admitted]
        self._stats.note(profiles, codes, texts.widths, batch.addresses, now_us)
        if len(good):
            counts, samples = texts.counts[good], texts.samples_of(good)
            self.counters.accepted += len(samples)
            self._texts.push(
                Batch(
                    profile_indices=np.repeat(profiles[good], counts),
                    device_ms=texts.device_ms[samples],
                    received_us=np.repeat(batch.received_us[good], counts),
                    ordinals=texts.ordinals[samples],
                    value_starts=texts.starts[samples],
                    values=texts.values,
                )
            )
        ends = texts.value_ends
        last = np.maximum(texts.firsts + texts.counts - 1, 0)
        return BatchResult(
            codes=codes,
            readable=texts.widths > 0,
            user_ids=texts.user_ids,
            board_ids=np.full(len(codes), -1, np.int64),
            device_ms=texts.device_ms[last] if len(texts.device_ms) else np.zeros(len(codes), np.int64),
            samples=np.maximum(texts.counts, 1),
            widths=texts.widths,
            values=lambda index: tuple(texts.values[ends[index] - texts.widths[index] : ends[index]].tolist()),
        )

    def _judge_texts(self, batch: DatagramBatch, texts: TextSamples) -> tuple[NDArray[np.int64], NDArray[np.int8]]:
        """Return the index of each text datagram's profile, -1 for none, and its drop code."""
        codes = np.zeros(len(batch), np.int8)
        if len(self._numbers):
            # An unknown number gets the index of another profile, and is refused last.
            found = np.minimum(np.searchsorted(self._numbers, texts.user_ids), len(self._numbers) - 1)
            profiles = self._profile_indices[found]
            codes[self._widths[profiles] != texts.widths] = CODE["channel_count"]
            codes[~self._allowed[profiles]] = CODE["v1_not_allowed"]
            codes[~self._consented[profiles]] = CODE["no_consent"]
            if not self._text_networks.are_all:
                codes[~self._text_networks.contain(batch.addresses)] = CODE["v1_network"]
            unknown = self._numbers[found] != texts.user_ids
            codes[unknown] = CODE["unknown_profile"]
            profiles = np.where(unknown, -1, profiles)
        else:
            profiles = np.full(len(codes), -1, np.int64)
            codes[:] = CODE["unknown_profile"]
        for index, reason in texts.refused.items():
            codes[index], profiles[index] = CODE[reason], -1
        return profiles, codes

    def _index_profiles(self) -> None:
        """Build the columns that map each number in text to its profile's index in the registry."""
        indices = {user_id: index for index, user_id in enumerate(sorted(self._devices))}
        numbered = {
            number: indices[user_id] for number, user_id in self._senders.items() if user_id in indices
        } | indices
        self._numbers = np.array(sorted(numbered), np.int64)
        self._profile_indices = np.array([numbered[number] for number in sorted(numbered)], np.int64)

    def _take_ready(self) -> BlockTable:
        ready = BlockTable.joined(self._ready)
        self._ready.clear()
        if len(ready):
            self._stats.note_blocks(ready)
        return ready

    def _end_text(self, user_id: int) -> int:
        return self._texts.end(user_id)

"""One profile's live stream: blocks in, due windows out, predictions in, decisions out. No I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from semg.domain import Block, Decision, DecisionSpec
from semg.signals.classifier import ClassifierSpec
from semg.signals.decisions import Voter
from semg.signals.windows import WindowStream


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """What inference must know of a profile's active model, without its weights.

    ``columns`` are the places of the model's channels, found by name, in a sample of the profile's device.
    """

    user_id: int
    version: int
    spec: ClassifierSpec
    columns: tuple[int, ...]
    n_device_channels: int
    decision: DecisionSpec


@dataclass(frozen=True, slots=True)
class DueWindow:
    """A window that wants a prediction; ``window`` is float32 ``(n_channels, n_samples)``, conditioned."""

    user_id: int
    model_version: int
    window: NDArray[np.float32]
    end_device_us: int
    end_server_us: int
    end_received_us: int
    starts_run: bool
    """True for the first window after a reset: earlier predictions take no part in its vote."""


class ProfileStream:
    """The buffers of one profile. One thread at a time.

    Parameters
    ----------
    model
        The profile's active model when the stream begins.
    """

    def __init__(self, model: ActiveModel) -> None:
        self.model = model
        self._windows = _window_stream(model)
        self._voter = Voter(model.decision, len(model.spec.classes))
        self._last = (-1, -1)  # segment and device time of the newest sample seen
        self._last_server_us = -1
        self._longest_step_us = 1.5e6 / model.spec.window.rate_hz + 1000  # as ingest, docs/wire.md
        self._edges: list[int] = []
        self._fresh_run = True
        # Blocks wait here until they complete a window: conditioning gives the same bits for any chunks, and a few
        # samples cost as much as many.
        self._waiting: list[Block] = []
        self._missing = self._windows.samples_until_due

    def change_model(self, model: ActiveModel) -> None:
        """Go on with another version; the buffers stay when it wants the same windows."""
        previous, self.model = self.model, model
        if (model.spec.window, model.spec.conditioning, model.columns) != (
            previous.spec.window,
            previous.spec.conditioning,
            previous.columns,
        ):
            self._windows = _window_stream(model)
            self._start_run()
        self._voter = Voter(model.decision, len(model.spec.classes))

    def add_edge(self, server_us: int) -> None:
        """Reset conditioning at the first sample from this server time on: a session starts or ends there."""
        if server_us > self._last_server_us and server_us not in self._edges:
            self._edges = sorted([*self._edges, server_us])[-16:]

    def push(self, block: Block) -> list[DueWindow]:
        """Give the windows that become due with a block; a block that was seen before gives none.

        The bus may deliver a block again when a publish was retried.
        """
        newest = (block.segment_id, int(block.device_us[-1]))
        if block.late or newest <= self._last or block.samples.shape[1] != self.model.n_device_channels:
            return []
        if not block.starts_run and self._lacks_blocks_before(block):
            block = replace(block, starts_run=True)
        server_us = newest[1] + block.clock_offset_us
        due: list[DueWindow] = []
        for part in self._split_at_edges(block) if self._edges and self._edges[0] <= server_us else (block,):
            due += self._take(part)
        self._last, self._last_server_us = newest, server_us
        return due

    def decide(self, window: DueWindow, probabilities: NDArray[np.float32], decided_us: int) -> Decision:
        """Give the decision after a window's prediction; windows come in their order."""
        if window.starts_run:
            self._voter.reset()
        index, confidence = self._voter.push(probabilities)
        return Decision(
            user_id=window.user_id,
            label=None if index is None else self.model.spec.classes[index],
            confidence=confidence,
            model_version=window.model_version,
            window_end_device_us=window.end_device_us,
            window_end_us=window.end_server_us,
            received_us=window.end_received_us,
            decided_us=decided_us,
        )

    def _lacks_blocks_before(self, block: Block) -> bool:
        """Tell whether the bus has lost what this block continues: no step inside a run is that long."""
        segment_id, device_us = self._last
        return block.segment_id == segment_id and int(block.device_us[0]) - device_us > self._longest_step_us

    def _split_at_edges(self, block: Block) -> Iterator[Block]:
        """Give the parts of a block between session edges; conditioning starts anew behind each."""
        first, starts_run = 0, block.starts_run
        server_us = block.server_us
        while self._edges and self._edges[0] <= server_us[-1]:
            at = int(np.searchsorted(server_us, self._edges.pop(0)))
            if at > first:
                yield _part(block, first, at, starts_run)
            first, starts_run = at, True
        yield _part(block, first, block.n_samples, starts_run)

    def _start_run(self) -> None:
        """Forget what waits: it completes no window any more."""
        self._windows.reset()
        self._waiting.clear()
        self._missing = self._windows.samples_until_due
        self._fresh_run = True

    def _take(self, block: Block) -> list[DueWindow]:
        if block.starts_run:
            self._start_run()
        self._waiting.append(block)
        self._missing -= len(block.device_us)
        if self._missing > 0:
            return []
        blocks, self._waiting = self._waiting, []
        due = self._cut(blocks)
        self._missing = self._windows.samples_until_due
        return due

    def _cut(self, blocks: list[Block]) -> list[DueWindow]:
        """Give the windows that blocks, which continue each other, complete."""
        windows, ends = self._windows.push(np.concatenate([block.samples for block in blocks]), False)
        behind = list(accumulate(len(block.device_us) for block in blocks))
        due = []
        for window, end in zip(windows, ends.tolist(), strict=True):
            place = bisect_right(behind, end)
            block, at = blocks[place], end - behind[place]  # counted from the block's end
            device_us = int(block.device_us[at])
            due.append(
                DueWindow(
                    block.user_id,
                    self.model.version,
                    window,
                    device_us,
                    device_us + block.clock_offset_us,
                    int(block.received_us[at]),
                    self._fresh_run,
                )
            )
            self._fresh_run = False
        return due


def _part(block: Block, first: int, last: int, starts_run: bool) -> Block:
    part = slice(first, last)
    return replace(
        block,
        starts_run=starts_run,
        device_us=block.device_us[part],
        received_us=block.received_us[part],
        samples=block.samples[part],
    )


def _window_stream(model: ActiveModel) -> WindowStream:
    return WindowStream(model.spec.conditioning, model.spec.window, model.columns)

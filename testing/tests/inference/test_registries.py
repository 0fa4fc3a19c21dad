"""What is read again every second outlives any error: the last state stays, and the next round comes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from semg.domain import HighWaterMark
from semg.event_types import EventSpec
from semg.inference import model_registry
from semg.inference.model_registry import ActiveModelRegistry
from semg.ingest import registry


class NoPool:
    """A pool whose transactions are never looked at."""

    def waiting_at_most(self, lock_s: float) -> NoPool:
        return self

    @contextmanager
    def transaction(self) -> Iterator[None]:
        yield None


def test_model_of_one_profile_that_cannot_be_read_keeps_no_other_from_deciding(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [SimpleNamespace(user_id=number) for number in (1, 2)]
    monkeypatch.setattr(model_registry.models, "list_active", lambda tx: [(1, 1, None), (2, 1, None)])
    monkeypatch.setattr(model_registry.profiles, "list_chosen", lambda tx, numbers: people)
    monkeypatch.setattr(model_registry.models, "find_active", lambda tx, user_id: user_id)
    monkeypatch.setattr(
        model_registry.event_settings, "list_event_specs", lambda tx, ids: dict.fromkeys(ids, EventSpec())
    )

    def active(profile: SimpleNamespace, model: int, events: EventSpec) -> str:
        if model == 1:
            raise KeyError("metadata")
        return "a model"

    monkeypatch.setattr(model_registry, "active_model", active)
    assert ActiveModelRegistry(NoPool())._read() == {2: "a model"}  # type: ignore[arg-type]


def test_active_models_are_read_again_after_any_error(monkeypatch: pytest.MonkeyPatch) -> None:
    rounds: list[Exception | dict[int, str]] = [OverflowError("a"), {}]
    made = ActiveModelRegistry(NoPool())  # type: ignore[arg-type]

    def read() -> dict[int, str]:
        found = rounds.pop(0) if rounds else {}
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(made, "_read", read)

    async def run() -> None:
        task = asyncio.create_task(made.keep_current(0.001))
        await asyncio.wait_for(made.loaded.wait(), 10)
        task.cancel()

    asyncio.run(run())


def test_boards_are_read_though_their_marks_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    applied: list[object] = []
    marks = SimpleNamespace(take_marks=lambda: {1: HighWaterMark(1, 1)}, give_back_marks=lambda marks: None)
    made = registry.Registry(NoPool(), lambda *found: applied.append(found), marks, "k" * 48)  # type: ignore[arg-type]

    def fail(*_: object) -> None:
        raise OverflowError("out of range")

    monkeypatch.setattr(made, "_write", fail)
    monkeypatch.setattr(made, "_read", lambda: ([], [], {}))

    async def run() -> None:
        task = asyncio.create_task(made.run())
        await asyncio.wait_for(made.loaded.wait(), 10)
        task.cancel()

    asyncio.run(run())
    assert applied == [([], [], {})]

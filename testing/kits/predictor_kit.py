"""A predictor without a store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from semg.predictor.model_cache import Loaded, Predictor
from semg.store.pool import Pool


class InMemory(Predictor):
    """A predictor whose models are given, by profile."""

    def __init__(self, loaded: Mapping[int, Loaded]) -> None:
        super().__init__(cast(Pool, None), 10)
        self.loaded = dict(loaded)

    def find(self, user_id: int) -> Loaded | None:
        return self.loaded.get(user_id)

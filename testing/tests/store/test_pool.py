"""The pool: transactions end as promised, errors are the project's own."""

import pytest

from semg.errors import ConflictError, StoreError, StoreUnavailableError
from semg.store.pool import Pool, execute, one


def test_transaction_is_rolled_back_when_the_block_raises(pool: Pool) -> None:
    with pytest.raises(RuntimeError, match="stop"), pool.transaction() as tx:
        execute(tx, "INSERT INTO profiles (name) VALUES ('x')")
        raise RuntimeError("stop")
    with pool.transaction() as tx:
        assert one(tx, "SELECT count(*) AS n FROM profiles").n == 0


def test_broken_uniqueness_is_a_conflict(pool: Pool) -> None:
    with pytest.raises(ConflictError), pool.transaction() as tx:
        execute(tx, "INSERT INTO profiles (name) VALUES ('x'), ('x')")


def test_refused_statement_is_a_store_error(pool: Pool) -> None:
    with pytest.raises(StoreError), pool.transaction() as tx:
        execute(tx, "SELECT nonsense")


def test_unreachable_server_names_the_settings(settings) -> None:
    pool = Pool(settings.model_copy(update={"postgres_port": 1}))
    with pytest.raises(StoreUnavailableError, match="POSTGRES_PORT"), pool.transaction():
        pass


def test_first_profile_has_the_number_of_the_sketch(pool: Pool) -> None:
    with pool.transaction() as tx:
        assert one(tx, "INSERT INTO profiles (name) VALUES ('x') RETURNING user_id").user_id == 21


def test_connections_that_the_server_ended_meanwhile_are_not_used(settings, pool: Pool) -> None:
    other = Pool(settings, name="ends-others")
    with pool.transaction() as first, pool.transaction() as second:
        ended = [one(tx, "SELECT pg_backend_pid() AS pid").pid for tx in (first, second)]
    with other.transaction() as tx:
        for pid in ended:
            assert one(tx, "SELECT pg_terminate_backend(%s, 5000) AS done", (pid,)).done
    with pool.transaction() as tx:
        assert one(tx, "SELECT pg_backend_pid() AS pid").pid not in ended
    other.close()

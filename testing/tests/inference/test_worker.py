"""The live worker against a real bus, API and database."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
from nats.aio.msg import Msg
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from semg.domain import Decision, utc_from_us
from semg.process import bus
from semg.security import tokens
from semg.signals.dataset import grid_windows
from semg.signals.model.dynamic import performed
from semg.signals.training.train import fit
from semg.store import models, profiles
from semg.store.pool import Pool
from semg.wire import messages
from testing.kits.ingest_kit import encode_blocks
from testing.kits.live_helpers import activate, logged_in, with_classes
from testing.kits.short_gestures import short_recording
from testing.kits.store_queries import list_decisions
from testing.kits.window_bodies import decode_request
from testing.kits.worker_kit import T0_US, Capture, blocks_of, publish, until, worker_running

pytestmark = [pytest.mark.servers, pytest.mark.usefixtures("api")]


def captured(capture: Capture, user_id: int) -> list[bytes]:
    return [w.window.tobytes() for body in capture.bodies for w in decode_request(body) if w.user_id == user_id]


async def test_live_windows_equal_offline_windows_bit_for_bit(
    servers, pool, make_wearer, classifier, recording
) -> None:
    user_id = make_wearer("A", classifier)
    starts = (0, 333)
    labelled = recording.labelled
    flags = np.zeros(len(labelled.samples), bool)
    flags[list(starts)] = True
    cut = replace(labelled, samples=labelled.samples[:800], starts_run=flags[:800], stretch=labelled.stretch[:800])
    expected, ends = grid_windows(cut, classifier.channels, classifier.conditioning, classifier.window)
    async with worker_running(servers.settings, pool) as (worker, capture):
        blocks = blocks_of(user_id, recording, 800, starts=starts)
        await publish(servers.settings, [*blocks, blocks[-1]])  # the bus may deliver a block twice
        await until(lambda: worker.counters.windows + len(captured(capture, user_id)) >= len(ends))
        await until(lambda: worker.counters.decisions >= len(ends))
    assert captured(capture, user_id) == [window.tobytes() for window in expected]


async def test_blocks_and_decisions_of_times_that_are_none_end_nothing(
    servers, pool, make_wearer, classifier, recording
) -> None:
    user_id, bad_id = make_wearer("A", classifier), make_wearer("B", classifier)
    async with worker_running(servers.settings, pool) as (worker, _):
        far = [replace(block, clock_offset_us=1 << 60) for block in blocks_of(bad_id, recording, 400)]
        await publish(servers.settings, far)
        await until(lambda: worker.counters.refused_blocks == len(far))
        # A decision of such a time is skipped as well, whatever has made it.
        never = Decision(bad_id, None, 0.5, 1, 1 << 60, 1 << 60, T0_US, T0_US)
        await worker._publish(never)
        assert (worker.counters.refused_decisions, worker.counters.decisions) == (1, 0)
        await publish(servers.settings, blocks_of(user_id, recording, 400))
        await until(lambda: worker.counters.decisions > 0)
    with pool.transaction() as tx:
        assert list_decisions(tx, bad_id) == []


async def test_message_that_the_bus_lost_starts_a_run(servers, pool, make_wearer, classifier, recording) -> None:
    user_id = make_wearer("A", classifier)
    blocks = blocks_of(user_id, recording, 800)
    lost = len(blocks) // 2
    behind = sum(block.n_samples for block in blocks[: lost + 1])
    labelled = recording.labelled
    rest = replace(
        labelled, samples=labelled.samples[behind:800], starts_run=labelled.starts_run[behind:800],
        stretch=labelled.stretch[behind:800],
    )  # fmt: skip
    expected, _ = grid_windows(rest, classifier.channels, classifier.conditioning, classifier.window)
    async with worker_running(servers.settings, pool) as (_worker, capture):
        await publish(servers.settings, blocks[:lost] + blocks[lost + 1 :])
        tail = [window.tobytes() for window in expected]
        await until(lambda: captured(capture, user_id)[-len(tail) :] == tail)


async def test_session_edge_resets_live_as_offline(servers, pool, make_wearer, classifier, recording) -> None:
    user_id = make_wearer("A", classifier)
    edge = 417
    server_us = T0_US + round((recording.device_ms[edge] - recording.device_ms[0]) * 1000)
    labelled = recording.labelled
    session = replace(
        labelled, samples=labelled.samples[edge:800], starts_run=labelled.starts_run[edge:800],
        stretch=labelled.stretch[edge:800],
    )  # fmt: skip
    expected, _ = grid_windows(session, classifier.channels, classifier.conditioning, classifier.window)
    async with worker_running(servers.settings, pool) as (_worker, capture):
        client = await bus.connect(servers.settings, "test-page", forever=False)
        message = messages.SessionEdge(userid=user_id, session_id=1, at=utc_from_us(server_us))
        await client.publish(messages.sessions_subject(user_id), message.to_bytes())
        await client.drain()
        await publish(servers.settings, blocks_of(user_id, recording, 800))
        tail = [window.tobytes() for window in expected]
        await until(lambda: captured(capture, user_id)[-len(tail) :] == tail)


async def test_decisions_reach_websocket_and_store_with_their_times(
    servers, pool, make_wearer, classifier, recording
) -> None:
    user_id = make_wearer("A", classifier)
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}"
    token = tokens.make_token("k" * 48, tokens.LIVE, str(user_id), 60, login=logged_in(pool))
    protocols = [tokens.SUBPROTOCOL, tokens.TOKEN_PROTOCOL_PREFIX + token]
    origin = servers.settings.app_url
    async with (
        worker_running(servers.settings, pool) as (worker, _),
        connect(url, subprotocols=protocols, additional_headers={"Origin": origin}, max_queue=None) as socket,
    ):
        assert socket.subprotocol == tokens.SUBPROTOCOL
        blocks = blocks_of(user_id, recording, 300)
        client = await bus.connect(servers.settings, "test-ingest", forever=False)
        await client.publish(messages.samples_subject(user_id), encode_blocks(blocks[:1]))
        await client.drain()
        samples = json.loads(await asyncio.wait_for(socket.recv(), 20))
        assert samples["type"] == "samples"
        assert samples["channels"] == ["a0", "a1", "a2", "a3"]
        assert samples["values"] == blocks[0].samples.tolist()
        await until(lambda: user_id in worker.watched())
        await publish(servers.settings, blocks)
        first = json.loads(await asyncio.wait_for(socket.recv(), 20))
        assert set(first) == {
            "type", "userid", "label", "confidence", "model_version", "window_end_device_ms", "window_end_at",
            "received_at", "decided_at", "probabilities", "needed",
        }  # fmt: skip
        end = classifier.window.settle_samples + classifier.window.window_samples - 1
        assert (first["type"], first["userid"], first["model_version"]) == ("decision", user_id, 1)
        assert first["window_end_device_ms"] == recording.device_ms[end]
        assert set(first["probabilities"]) <= set(classifier.classes)
        assert sum(first["probabilities"].values()) == pytest.approx(1, abs=0.01)
        assert max(first["probabilities"].values()) == pytest.approx(first["confidence"], abs=0.001)
        await until(lambda: len(stored(pool, user_id)) == worker.counters.decisions > 0)
    kept = stored(pool, user_id)[0]
    assert kept.window_end_device_us == round(recording.device_ms[end] * 1000)


async def test_viewer_that_wants_no_samples_gets_decisions_only(
    servers, pool, make_wearer, classifier, recording
) -> None:
    user_id = make_wearer("A", classifier)
    headers = {"Authorization": f"Bearer {servers.settings.semg_api_token.get_secret_value()}"}
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}?samples=false"
    async with (
        worker_running(servers.settings, pool),
        connect(url, additional_headers=headers, max_queue=None) as socket,
    ):
        blocks = blocks_of(user_id, recording, 100)
        client = await bus.connect(servers.settings, "test-ingest", forever=False)
        await client.publish(messages.samples_subject(user_id), encode_blocks(blocks[:1]))
        await client.drain()
        await publish(servers.settings, blocks)
        decision = json.loads(await asyncio.wait_for(socket.recv(), 20))
        assert (decision["type"], "probabilities" in decision) == ("decision", False)


def stored(pool: Pool, user_id: int) -> list:
    with pool.transaction() as tx:
        found = list_decisions(tx, user_id, utc_from_us(0), utc_from_us(4 * 10**15), 10_000)
    return sorted(found, key=lambda decision: decision.window_end_us)


async def test_two_profiles_with_swapped_labels_never_mix(servers, pool, make_wearer, classifier, recording) -> None:
    swap = {"fist": "flexion", "flexion": "fist"}
    one, two = make_wearer("A", classifier), make_wearer("B", with_classes(classifier, swap))
    async with worker_running(servers.settings, pool) as (_worker, _):
        pairs = zip(blocks_of(one, recording, 1500), blocks_of(two, recording, 1500), strict=True)
        await publish(servers.settings, [block for pair in pairs for block in pair])
        await until(lambda: len(stored(pool, one)) == len(stored(pool, two)) > 100)
    first, second = ([d.label for d in stored(pool, user)] for user in (one, two))
    assert {"fist", "flexion"} <= set(first)
    assert second == [swap.get(label, label) for label in first]


async def test_new_version_and_deleted_profile_while_streaming(
    servers, pool, make_wearer, classifier, recording
) -> None:
    user_id = make_wearer("A", classifier)
    swap = {"fist": "flexion", "flexion": "fist"}
    blocks = blocks_of(user_id, recording, 1500)
    async with worker_running(servers.settings, pool) as (worker, _):
        await publish(servers.settings, blocks[:60])
        await until(lambda: worker.counters.decisions > 0)
        with pool.transaction() as tx:
            activate(tx, user_id, with_classes(classifier, swap))
        await until(lambda: worker.registry.find(user_id).version == 2)
        await publish(servers.settings, blocks[60:120])
        await until(lambda: any(d.model_version == 2 for d in stored(pool, user_id)))
        reported = worker.metrics()["streams"][str(user_id)]
        assert reported["windows"] >= reported["decisions"] >= worker.counters.decisions - 1 > 0
        with pool.transaction() as tx:
            assert models.find_active(tx, user_id).version == 2
            profiles.delete_profile(tx, user_id)
        await until(lambda: worker.registry.find(user_id) is None)
        before = worker.counters.decisions
        await publish(servers.settings, blocks[120:180])
        await until(lambda: worker.counters.blocks == 180)
        assert worker.counters.decisions == before
        assert worker.metrics()["profiles"] == 0


@pytest.mark.parametrize(("origin", "token_user"), [("https://elsewhere.example", 0), (None, 1)])
async def test_websocket_refuses_other_origins_and_other_profiles_tokens(
    servers, pool, make_wearer, classifier, origin, token_user
) -> None:
    user_id = make_wearer("A", classifier)
    token = tokens.make_token("k" * 48, tokens.LIVE, str(user_id + token_user), 60, login=logged_in(pool))
    protocols = [tokens.SUBPROTOCOL, tokens.TOKEN_PROTOCOL_PREFIX + token]
    headers = {"Origin": origin} if origin else {}
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}"
    async with connect(url, subprotocols=protocols, additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosedError) as closed:
            await asyncio.wait_for(socket.recv(), 20)
    assert closed.value.rcvd.code == 4401


async def test_websocket_of_a_stranger_is_not_opened(servers, make_wearer, classifier) -> None:
    user_id = make_wearer("A", classifier)
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}"
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, subprotocols=[tokens.SUBPROTOCOL]):
            pass
    assert refused.value.response.status_code == 403


async def test_websocket_of_unknown_profile_is_closed_with_4404(servers) -> None:
    headers = {"Authorization": f"Bearer {servers.settings.semg_api_token.get_secret_value()}"}
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/999"
    async with connect(url, additional_headers=headers) as socket:
        with pytest.raises(ConnectionClosedError) as closed:
            await asyncio.wait_for(socket.recv(), 20)
    assert closed.value.rcvd.code == 4404


async def test_short_gestures_are_decided_once_live_as_over_the_recording(servers, pool, make_wearer) -> None:
    known, new = short_recording(3, 1, 3, channels=4), short_recording(3, 2, 1, channels=4)
    short = fit([known.labelled], "logcov_lda")
    user_id, n = make_wearer("A", short), len(new.labelled.samples)
    windows, ends = grid_windows(new.labelled, short.channels, short.conditioning, short.window)
    recogniser = short.dynamic_recogniser()
    assert recogniser is not None
    needed = short.decision.begin_confidence
    expected = [
        (short.spec.dynamic[which], float(row[which]), round(new.device_ms[end] * 1000))
        for row, end in zip(recogniser.push_all(windows), ends.tolist(), strict=True)
        if (which := performed(row, needed)) is not None
    ]
    assert len(expected) >= 3
    heard: list[messages.DecisionMessage] = []
    client = await bus.connect(servers.settings, "test-listener", forever=False)

    async def listen(message: Msg) -> None:
        heard.append(messages.DecisionMessage.from_bytes(message.data))

    await client.subscribe(messages.decisions_subject(user_id), cb=listen)
    await client.flush()
    async with worker_running(servers.settings, pool) as (worker, _):
        await publish(servers.settings, blocks_of(user_id, new, n))
        await until(lambda: worker.counters.decisions == len(ends) == len(heard))
    await client.close()
    once = [(one.label, one.confidence, round(one.window_end_device_ms * 1000)) for one in heard if one.once]
    assert once == expected
    assert {one.label for one in heard if not one.once} <= {*short.classes, None}

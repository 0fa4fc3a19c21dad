"""NATS and JetStream: connect, create the journal, publish."""

from __future__ import annotations

import logging
import time

import nats
from nats.aio.client import DEFAULT_INBOX_PREFIX, Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import NotFoundError

from semg.errors import BusError
from semg.settings import Settings
from semg.wire import messages

logger = logging.getLogger(__name__)

ERROR_EVERY_S = 10.0
"""The same error is logged at most this often: while NATS is away, every attempt to reconnect (5 a second) fails."""
PENDING_BYTES = 2 << 20
"""Size of a client's send buffer; publishing more waits until there is room (10 s in nats-py)."""


async def connect(settings: Settings, name: str, *, forever: bool = True, service: str | None = None) -> Client:
    """Connect to NATS and stay connected.

    Parameters
    ----------
    name
        Shown by the server's monitoring.
    forever
        Keep reconnecting after a lost connection (services); otherwise fail after a few attempts (tools).
    service
        One of ``NATS_SERVICES``, whose user this is and whose subjects it may use; None: ``NATS_USER``.

    Raises
    ------
    BusError
        The first connection failed; the message names the setting to check. Not raised with ``forever``, which waits
        for the server.
    """
    where = ", ".join(settings.nats_urls)
    user, password = settings.nats_credentials(service)
    logged_at: dict[str, float] = {}

    async def on_error(exc: Exception) -> None:
        text, now = str(exc) or type(exc).__name__, time.monotonic()
        if now - logged_at.get(text, -ERROR_EVERY_S) >= ERROR_EVERY_S:
            logged_at.clear()
            logged_at[text] = now
            logger.warning("bus: NATS at %s: %s", where, text)

    async def on_disconnected() -> None:
        logger.info("bus: disconnected")

    async def on_reconnected() -> None:
        logger.info("bus: reconnected")

    try:
        return await nats.connect(
            settings.nats_urls,
            name=name,
            user=user or None,
            password=password or None,
            inbox_prefix=messages.inbox_prefix(service) if service else DEFAULT_INBOX_PREFIX,
            error_cb=on_error,
            disconnected_cb=on_disconnected,
            reconnected_cb=on_reconnected,
            allow_reconnect=True,
            connect_timeout=2,
            reconnect_time_wait=0.2,
            max_reconnect_attempts=-1 if forever else 3,
            pending_size=PENDING_BYTES,
            max_outstanding_pings=3,
            ping_interval=5,
            drain_timeout=3,
        )
    except (NatsError, OSError, TimeoutError) as exc:
        raise BusError(
            f"NATS at {where} cannot be reached as {user!r} ({exc}); look at NATS_SERVER, NATS_USER, NATS_PASSWORD"
        ) from exc


async def ensure_journal(client: Client, settings: Settings) -> JetStreamContext:
    """Create the journal's stream unless it exists, and return the JetStream context.

    The stream holds at most a day and ``JOURNAL_MAX_BYTES``; the oldest messages go first.

    Raises
    ------
    BusError
        JetStream is off on this server, or its limits do not allow the stream.
    """
    js = client.jetstream(timeout=5)
    config = StreamConfig(
        name=messages.JOURNAL_STREAM,
        subjects=[messages.JOURNAL_SUBJECTS],
        storage=StorageType.FILE,
        retention=RetentionPolicy.LIMITS,
        discard=DiscardPolicy.OLD,
        max_age=settings.journal_max_age_s,
        max_bytes=settings.journal_max_bytes,
        duplicate_window=min(120, settings.journal_max_age_s),
        num_replicas=settings.journal_replicas,
    )
    try:
        try:
            # Checked first: add_stream reserves the space a second time, which a full server refuses.
            await js.stream_info(messages.JOURNAL_STREAM)
            await js.update_stream(config)
        except NotFoundError:
            await js.add_stream(config)
    except (NatsError, TimeoutError) as exc:
        raise BusError(
            f"JetStream cannot hold the journal ({exc}); is it enabled, and is JOURNAL_MAX_BYTES free?"
        ) from exc
    return js

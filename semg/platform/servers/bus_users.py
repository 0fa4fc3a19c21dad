"""Users of the bus: one per service, with the subjects that the service needs and no others.

A user may do nothing that is not listed. JetStream is controlled over subjects too (``$JS.API.…``), so this is also the
list of who may make, read and change which stream; answers come to an inbox whose prefix is the service's own. The app
has no user: it has no connection to the bus.
"""

from __future__ import annotations

from dataclasses import dataclass

from semg.settings import NATS_SERVICES, Settings
from semg.wire.messages import (
    JOURNAL_STREAM,
    JOURNAL_SUBJECTS,
    PROFILES_SUBJECT,
    SHARES_STREAM,
    decisions_subject,
    events_subject,
    inbox_prefix,
    live_subject,
    models_subject,
    samples_subject,
    sessions_subject,
    share_subject,
    watch_subject,
)

_API = "$JS.API"


@dataclass(frozen=True, slots=True)
class BusUser:
    """A user of the NATS server, and the subjects that it may publish to and subscribe to."""

    name: str
    password: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def users_of(settings: Settings) -> list[BusUser]:
    """Return the users that the settings name beside ``NATS_USER``, which may do everything.

    A service without credentials in the settings works as ``NATS_USER`` and is not listed.
    """
    common = settings.nats_credentials(None)
    made = []
    for service in NATS_SERVICES:
        user, password = settings.nats_credentials(service)
        if user != common[0]:
            publish, subscribe = subjects_of(service)
            made.append(BusUser(user, password, publish, subscribe))
    return made


def subjects_of(service: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the subjects that a service publishes to, and those that it subscribes to."""
    publish, subscribe = {
        "udpserver": (
            (
                live_subject("*"),
                samples_subject("*"),
                JOURNAL_SUBJECTS,
                *_stream(JOURNAL_STREAM, "CREATE", "UPDATE"),
                *_consumers(JOURNAL_STREAM),
            ),
            (watch_subject("*"), PROFILES_SUBJECT),
        ),
        "store": ((*_stream(JOURNAL_STREAM), *_consumers(JOURNAL_STREAM), *_shares("store")), ()),
        "nat_inference": (
            (decisions_subject("*"), events_subject("*"), *_shares("inference")),
            (live_subject("*"), sessions_subject("*"), models_subject("*"), watch_subject("*"), PROFILES_SUBJECT),
        ),
        "api": (
            (watch_subject("*"),),
            (samples_subject("*"), decisions_subject("*"), events_subject("*"), models_subject("*")),
        ),
        "job_runner": ((sessions_subject("*"), models_subject("*")), ()),
    }[service]
    return publish, (*subscribe, f"{inbox_prefix(service)}.>")


def _stream(stream: str, *changes: str) -> tuple[str, ...]:
    return tuple(f"{_API}.STREAM.{word}.{stream}" for word in ("INFO", *changes))


def _consumers(stream: str) -> tuple[str, ...]:
    """Read a stream by pull consumers."""
    create = f"{_API}.CONSUMER.CREATE.{stream}"
    return (
        create,
        f"{create}.>",
        f"{_API}.CONSUMER.INFO.{stream}.*",
        f"{_API}.CONSUMER.MSG.NEXT.{stream}.*",
    )


def _shares(kind: str) -> tuple[str, ...]:
    """Claim partitions of a kind of work."""
    return (share_subject(kind, ">"), *_stream(SHARES_STREAM, "CREATE", "MSG.GET", "MSG.DELETE"))

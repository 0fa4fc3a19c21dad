"""Record failed logins in the audit log: all are counted, and many of them cannot fill the log.

A login, and an address, has one entry a minute at most: the first failure is written down at once, those that follow
within the minute are one entry with their number at its end. Of a login that nobody has, the address alone is known:
what was typed may be a password.
"""

from __future__ import annotations

import ipaddress
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from semg.store.audit import Actor, record
from semg.store.pool import Transaction

WINDOW_S = 60.0
MOST = 1_000
"""Logins and addresses that are counted separately within a minute; the failures of all others share one entry."""


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed logins in one entry; ``account_id`` and ``address`` are None where they differ or are unknown."""

    tries: int
    account_id: int | None = None
    address: str | None = None


@dataclass(slots=True)
class _Window:
    ends_s: float
    entry: Failures
    tries: int = 0


class FailedLogins:
    """Decides when failed logins are recorded. Safe to use from threads.

    The caller writes what ``note`` and ``due`` return (``record_failures``); at the end of the process
    ``due(math.inf)`` returns what is left.
    """

    def __init__(self) -> None:
        self._windows: dict[tuple[str, object], _Window] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of logins and addresses being counted."""
        return len(self._windows)

    def note(self, now_s: float, account_id: int | None, address: str | None) -> list[Failures]:
        """Count a failed login, and return the entries to record now.

        Parameters
        ----------
        now_s
            Monotonic time, s.
        account_id
            Account of the attempted login; None if there is none.
        address
            Address of the client; None if unknown.
        """
        keys: list[tuple[str, object]] = [("account", account_id)] if account_id is not None else []
        keys += [("address", address)] if address is not None else []
        with self._lock:
            due = self._close(now_s)
            known = next((self._windows[key] for key in keys if key in self._windows), None)
            if known is None and (not keys or len(self._windows) + len(keys) > MOST):
                keys = [("rest", None)]
                known = self._windows.get(keys[0])
            if known is not None:
                known.tries += 1
                return due
            for key in keys:
                entry = Failures(0, *((account_id, None) if key[0] == "account" else (None, address)))
                self._windows[key] = _Window(now_s + WINDOW_S, Failures(0) if key[0] == "rest" else entry)
            first = Failures(1) if keys[0][0] == "rest" else Failures(1, account_id, address)
            return [*due, first]

    def due(self, now_s: float) -> list[Failures]:
        """Return the entries that are due although no failure follows."""
        with self._lock:
            return self._close(now_s)

    def _close(self, now_s: float) -> list[Failures]:
        found = []
        for key, window in list(self._windows.items()):
            if window.ends_s > now_s:
                continue
            if window.tries:
                found.append(Failures(window.tries, window.entry.account_id, window.entry.address))
                window.tries, window.ends_s = 0, now_s + WINDOW_S
            else:
                del self._windows[key]
        return found


def record_failures(tx: Transaction, actor: Actor, failures: Iterable[Failures]) -> None:
    """Write failed logins into the audit log: ``tries``, and ``account`` and ``address`` where they are known."""
    for one in failures:
        counts = {"tries": one.tries}
        if one.account_id is not None:
            counts["account"] = one.account_id
        number = None if one.address is None else number_of(one.address)
        if number is not None:
            counts["address"] = number
        record(tx, actor, "login.failed", **counts)


def number_of(address: str) -> int | None:
    """Return an IP address as a number (IPv4 in IPv6 as IPv4), or None when it is none: entries hold numbers only."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return int(getattr(found, "ipv4_mapped", None) or found)


def address_of(number: int) -> str:
    """Return the IP address that a number stands for: IPv4 below 2**32."""
    return str(ipaddress.ip_address(number)) if 0 <= number < 1 << 128 else str(number)

"""Makes an attacker's requests against a running system, and says what stood open.

    python testing/attack.py                      starts a system of its own on free ports, with the gateway of --lan
    python testing/attack.py --only gateway,browser
    python testing/attack.py --url https://127.0.0.1:8443 --insecure --login LOGIN --password PASSWORD

One line for each check: ok or OPEN, what was asked, what came back. Everything is tried at a system of its own only, of
which database, files and processes are looked at too; what could not be tried at a given one is named. There it changes
nothing, but after the group logins this address may not log in for some minutes, and the audit log tells of all logins.
Exit code: 0 all clear; 1 something stood open; 2 nothing did, but not everything could be tried.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from semg.settings import API_PREFIX
from testing.attacks.canary import Canary
from testing.attacks.means import Limits
from testing.attacks.own_system import own_system
from testing.attacks.runner import GROUPS, run
from testing.attacks.target import Target


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="a system that runs already: the address of its gateway, or of its app")
    parser.add_argument("--api-url", help="its API; default: below /api of --url")
    parser.add_argument("--insecure", action="store_true", help="take its certificate as it is")
    parser.add_argument("--login", default="", help="somebody who may log in there by a password alone")
    parser.add_argument("--password", default="")
    parser.add_argument("--only", default="", metavar="GROUPS", help=f"some of {','.join(GROUPS)}")
    parser.add_argument("--requests", type=int, default=3000, help="at most so many")
    parser.add_argument("--seconds", type=float, default=900.0, help="at most so long")
    parser.add_argument("--beyond-this-machine", action="store_true", help="the system is yours, and not on loopback")
    options = parser.parse_args(arguments)
    names = [name for name in options.only.split(",") if name] or list(GROUPS)
    if unknown := [name for name in names if name not in GROUPS]:
        parser.error(f"--only: expected some of {', '.join(GROUPS)}, got {', '.join(unknown)}")
    if options.url and not options.beyond_this_machine and not is_loopback(options.url):
        parser.error(f"{options.url} is not on this machine's loopback; --beyond-this-machine when it is yours")
    limits = Limits(options.requests, options.seconds)
    with Canary().listening() as canary:
        if not options.url:
            with own_system(canary, limits) as target:
                return run(target, names, say)
        return run(_given(options, canary, limits), names, say)


def _given(options: argparse.Namespace, canary: Canary, limits: Limits) -> Target:
    url = options.url.rstrip("/")
    context = ssl.create_default_context() if url.startswith("https://") else None
    if context is not None and options.insecure:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return Target(
        url=url, api_url=(options.api_url or url + API_PREFIX).rstrip("/"), canary=canary, context=context,
        login=options.login, password=options.password, limits=limits,
    )  # fmt: skip


def is_loopback(url: str) -> bool:
    """Return whether an address leads to this machine's loopback and nowhere else."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(one[4][0]).is_loopback for one in found)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""A system to be attacked: throw-away servers, API, app and gateway on free ports, and a little of everything."""

from __future__ import annotations

import secrets
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from semg.platform.lan import lan_address
from semg.platform.servers import embedded
from semg.privacy.consent import TEST_PERSON
from semg.recordings.csv_format import Recording
from semg.recordings.importing import import_recording
from semg.security.passwords import hash_password
from semg.settings import API_PREFIX, Settings
from semg.signals.dataset import LabelledSamples, Stretch
from semg.store import accounts, audit, gestures, profiles
from semg.store.pool import Pool
from testing.attacks.canary import Canary
from testing.attacks.means import Inside, Limits
from testing.attacks.target import Target
from testing.running_system import running, throwaway_servers

SERVICES = ("api", "streamlit", "gateway")
ADMIN, RESEARCHER, VIEWER = "ada-the-admin", "grace-the-researcher", "eve-the-viewer"
FORMULA = '=HYPERLINK("http://evil.example","x")'
CHANNELS, RATE_HZ, SECONDS = ("a0", "a1"), 200.0, 6


@contextmanager
def own_system(canary: Canary, limits: Limits) -> Iterator[Target]:
    """Start a system, and give it as a target; it is gone after the block.

    Yields
    ------
    Target
        Its gateway, with everything that its owner sees.
    """
    with tempfile.TemporaryDirectory(prefix="semg-attack-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user when root starts it
        with throwaway_servers(folder) as bare:
            own_port = {"lan": True, "lan_host": "127.0.0.1", "lan_port": embedded.free_port()}
            settings, _ = lan_address.with_lan(bare.model_copy(update=own_port))
            pool = Pool(settings, name="attack")
            try:
                inside = _filled(pool, settings, folder, canary)
                with running(settings, folder, SERVICES):
                    yield Target(
                        url=settings.app_url,
                        api_url=settings.app_url + API_PREFIX,
                        canary=canary,
                        context=ssl.create_default_context(cafile=str(settings.lan_certificate[0])),
                        login=RESEARCHER,
                        password=inside.accounts[RESEARCHER],
                        limits=limits,
                        inside=inside,
                    )
            finally:
                pool.close()


def _filled(pool: Pool, settings: Settings, folder: Path, canary: Canary) -> Inside:
    """Add accounts, and a profile whose name, gestures and session are called what is no Markdown here."""
    made = {login: secrets.token_urlsafe(16) for login in (ADMIN, RESEARCHER, VIEWER)}
    picture = f"x![]({canary.origin}/p.png)"
    with pool.transaction() as tx:
        numbers = [
            accounts.insert_account(tx, login, hash_password(made[login]), role)
            for login, role in ((ADMIN, "admin"), (RESEARCHER, "researcher"), (VIEWER, "viewer"))
        ]
        user_id = profiles.insert_profile(
            tx, picture, channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON, owner_id=numbers[1], notes=picture
        )
        gestures.insert_gesture(tx, user_id, picture, picture, picture)
        imported = import_recording(tx, user_id, _recording(), picture, datetime.now(UTC) - timedelta(hours=1))
    for _ in range(3):
        with pool.transaction() as tx:
            audit.record(tx, audit.Actor(ADMIN), "profile.changed", user_id)
    return Inside(
        settings=settings, pool=pool, folder=folder, user_id=user_id, session_id=imported.session_id, accounts=made
    )


def _recording() -> Recording:
    """Return a few seconds of noise with two labels, one of which a spreadsheet would compute."""
    n = round(SECONDS * RATE_HZ)
    samples = np.random.default_rng(0).standard_normal((n, len(CHANNELS))).astype(np.float32)
    starts_run = np.zeros(n, bool)
    starts_run[0] = True
    stretch = (np.arange(n) * 2 // n).astype(np.int32)
    labels = (Stretch("fist", 1, "noise"), Stretch(FORMULA, 1, "noise"))
    labelled = LabelledSamples(samples, starts_run, stretch, labels, CHANNELS, RATE_HZ)
    return Recording(labelled, (np.arange(n) * 1000.0 / RATE_HZ).astype(np.float64), Path("noise.csv"))

"""``rotate-key`` and ``reencrypt`` from the command line."""

from __future__ import annotations

from semg.errors import SettingsError
from semg.platform.backup_commands import database_running
from semg.platform.control import Say
from semg.platform.installation import env_file
from semg.platform.reencrypt import reencrypt
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.settings import env_file as env_path
from semg.store.pool import Pool


def rotate(settings: Settings, say: Say) -> None:
    """Generate a new key in ``.env``, and print the next step.

    Raises
    ------
    SettingsError
        The key is set in the environment.
    """
    path = env_path()
    if not path.exists():
        raise SettingsError(f"{path} is not there: start_all.sh makes it, with the first SECRET_KEY")
    env_file.rotate_key(path, settings)
    say(f"{path.name} has a new SECRET_KEY; the one before is in SECRET_KEYS_OLD and still opens what it made.")
    say("Next: ./stop_all.sh, ./start_all.sh, then python -m semg.platform reencrypt.")


def reencrypt_all(settings: Settings, say: Say) -> bool:
    """Re-encrypt data of old keys with the current one, and return whether no old key is needed any more.

    Raises
    ------
    SettingsError
        There is no ``SECRET_KEY``.
    StoreError
        The database is away.
    """
    if not ring_of(settings).current:
        raise SettingsError("there is no SECRET_KEY yet: start_all.sh makes the first")
    with database_running(settings):
        pool = Pool(settings, size=2, name="reencrypt")
        try:
            found = reencrypt(pool, settings)
        finally:
            pool.close()
    say(
        f"Encrypted with SECRET_KEY: {found.boards} keys of boards, {found.names} names, "
        f"{found.apps} authenticator apps, {found.videos} videos."
    )
    for line in found.left:
        say(f"  {line}")
    if found.left:
        say("SECRET_KEYS_OLD is still needed; run this again.")
        return False
    hours = settings.login_s / 3600
    say(f"Nothing needs SECRET_KEYS_OLD here; logins and links that it signed end within {hours:g} h.")
    say("Backups from before do: keep the old keys with them, and run this again after restoring one.")
    return True

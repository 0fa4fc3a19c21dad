"""Checks that no entry of the audit log was changed, removed or added past its function.

python db/verify_audit.py                        the database of the settings
python db/verify_audit.py --noted NUMBER:HASH    also that an entry still has the hash that was noted earlier
python db/verify_audit.py --file audit.jsonl     an export in JSON lines, without the database

Exit code 0: all is as it was written; 1: the last line names the first entry that is not; 2: it could not be checked.
Keep the line NUMBER:HASH that it prints where the database's owner cannot write, and give it to the next check: whoever
has the owner's rights could write the whole log anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
from collections.abc import Sequence

from semg.errors import SemgError
from semg.security.audit_chain import ChainVerdict, Noted, verify, verify_export
from semg.settings import load_settings
from semg.store.pool import Pool


def main(arguments: Sequence[str] | None = None) -> int:
    """Check the log, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--noted", metavar="NUMBER:HASH", help="what an earlier check printed")
    parser.add_argument("--file", type=Path, help="an export in JSON lines")
    options = parser.parse_args(arguments)
    if options.file is not None and options.noted is not None:
        parser.error("--noted is for the database, not for --file")
    try:
        verdict = _check_file(options.file) if options.file is not None else _check_database(options.noted)
    except (SemgError, OSError, UnicodeDecodeError) as exc:
        print(exc, file=sys.stderr)
        return 2
    print(f"{verdict.n_entries:,} entries" + (f", {verdict.first:,} to {verdict.last:,}" if verdict.n_entries else ""))
    if verdict.broken is not None:
        print(f"entry {verdict.broken}: {verdict.reason}")
        return 1
    if verdict.head is not None:
        print(verdict.head)
    return 0


def _check_database(noted: str | None) -> ChainVerdict:
    earlier = None if noted is None else Noted.parse(noted)
    pool = Pool(load_settings(), size=1, name="verify_audit")
    try:
        with pool.transaction() as tx:
            return verify(tx, earlier)
    finally:
        pool.close()


def _check_file(path: Path) -> ChainVerdict:
    with path.open(encoding="utf-8") as lines:
        return verify_export(lines)


if __name__ == "__main__":
    sys.exit(main())

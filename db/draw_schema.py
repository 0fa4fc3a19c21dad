"""Draws db/postgres.sql: docs/schema.svg and docs/schema.md.

python db/draw_schema.py           writes both, from a throw-away server that it starts
python db/draw_schema.py --check   tells whether they are current, exit code 1 if not
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import argparse
import secrets
import tempfile
from collections.abc import Sequence

from pydantic import SecretStr

from db.diagram import draw_mermaid, draw_svg
from semg.platform.database.schema_setup import bring_up_to_date
from semg.platform.servers import embedded, postgres
from semg.settings import PROJECT_DIR, Settings
from semg.store.inspection import Table, list_relations
from semg.store.pool import Pool


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when a file is not current")
    parser.add_argument("--out", type=Path, default=PROJECT_DIR / "docs", help="folder of the files")
    options = parser.parse_args(arguments)
    stale = []
    for name, content in pages(read_schema()).items():
        path = options.out / name
        if options.check and (not path.exists() or path.read_text(encoding="utf-8") != content):
            stale.append(path)
        if not options.check:
            path.write_text(content, encoding="utf-8")
            print(f"{path} written")
    for path in stale:
        print(f"{path} does not show db/postgres.sql: run python db/draw_schema.py", file=sys.stderr)
    return 1 if stale else 0


def read_schema() -> list[Table]:
    """Apply the schema to a database of a server that exists only for this, and give its tables."""
    with tempfile.TemporaryDirectory(prefix="semg-schema-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server's own account reaches its files
        port, password = embedded.free_port(), secrets.token_urlsafe(16)
        data = postgres.data_folder(folder)
        server = postgres.start(data, port, "semg", password, "schema", folder / "log", durable=False)
        try:
            settings = Settings(  # type: ignore[call-arg]
                _env_file=None,
                postgres_host="127.0.0.1",
                postgres_port=port,
                postgres_user="semg",
                postgres_password=SecretStr(password),
                postgres_db="schema",
            )
            bring_up_to_date(settings)
            pool = Pool(settings, size=1, name="draw_schema")
            try:
                with pool.transaction() as tx:
                    return list_relations(tx)
            finally:
                pool.close()
        finally:
            server.stop()


def pages(tables: Sequence[Table]) -> dict[str, str]:
    """Return the content of the files by name."""
    sentences = "\n".join(f"- `{table.name}`: {table.comment}." for table in tables if table.comment)
    text = (
        "# Database schema\n"
        "Drawn from `db/postgres.sql` by `python db/draw_schema.py`; do not edit.\n\n"
        "![Tables, their columns and foreign keys](schema.svg)\n\n"
        "● primary key, → foreign key, ? may be empty.\n\n"
        f"{sentences}\n\n```mermaid\n{draw_mermaid(tables)}```\n"
    )
    return {"schema.svg": draw_svg(tables), "schema.md": text}


if __name__ == "__main__":
    sys.exit(main())

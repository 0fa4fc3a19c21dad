"""view_dbs shows what is there and changes nothing; the committed schema diagram is current."""

from __future__ import annotations

import importlib.util
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

from db.diagram import draw_mermaid, draw_svg
from semg.errors import StoreError
from semg.settings import PROJECT_DIR, Settings
from semg.store import accounts, inspection, sqlite_files
from semg.store.inspection import Column, ForeignKey, Table
from semg.store.pool import Pool, execute
from testing.kits.store_data import Filled


def load(name: str) -> ModuleType:
    """Import a tool of ``db``, which is no package."""
    spec = importlib.util.spec_from_file_location(name, PROJECT_DIR / "db" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    path = tmp_path / 'odd "name" #1?.db'
    connection = sqlite3.connect(path)
    connection.executescript(
        """
        CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL, photo BLOB);
        CREATE TABLE "odd ""tab""le" (person INTEGER REFERENCES people, "the value" REAL);
        CREATE VIEW names AS SELECT name FROM people;
        """
    )
    connection.execute("INSERT INTO people VALUES (1, ?, ?)", ("Ada " * 50, b"\x00" * 5000))
    connection.execute("INSERT INTO people VALUES (2, 'two\nlines', NULL)")
    connection.commit()
    connection.close()
    return path


def test_sqlite_file_is_shown_and_not_changed(sqlite_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sqlite_file.read_bytes()
    assert load("view_dbs").main([str(sqlite_file), "--width", "20"]) == 0
    shown = capsys.readouterr().out
    assert "people (2 rows" in shown
    assert 'odd "tab"le (0 rows' in shown
    assert "names (view, 2 rows" in shown
    assert re.search(r"person +INTEGER +may be empty, → people", shown)
    assert "Ada Ada Ada Ada Ada…" in shown
    assert "5000 bytes" in shown
    assert "two lines" in shown
    assert max(len(line) for line in shown.splitlines() if line.startswith("    ")) <= 4 + 3 * 23
    assert sqlite_file.read_bytes() == before
    assert [path.name for path in sqlite_file.parent.iterdir()] == [sqlite_file.name], "no journal is left"


def test_sqlite_connection_cannot_write(sqlite_file: Path) -> None:
    with pytest.raises(StoreError, match="readonly"), sqlite_files.open_file(sqlite_file) as connection:
        connection.execute("DELETE FROM people")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"millis,a0\n1,2\n", "is no SQLite database"), (b"", "is no SQLite database"), (None, "No such file")],
)
def test_file_that_is_no_database_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, reason: str
) -> None:
    path = tmp_path / "recording.db"
    if content is not None:
        path.write_bytes(content)
    assert load("view_dbs").main([str(path)]) == 1
    printed = capsys.readouterr()
    assert reason in printed.err
    assert str(path) in printed.err
    assert printed.out == ""


def test_damaged_file_is_told_and_the_next_one_is_shown(
    sqlite_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = tmp_path / "damaged.db"
    damaged.write_bytes(sqlite_file.read_bytes()[:100] + b"\xff" * 4000)
    assert load("view_dbs").main([str(damaged), str(sqlite_file)]) == 1
    printed = capsys.readouterr()
    assert "is damaged" in printed.err
    assert "people (2 rows" in printed.out


def test_postgres_is_shown_without_secrets(
    settings: Settings, pool: Pool, filled: Filled, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pool.transaction() as tx:
        accounts.insert_account(tx, "admin", "$argon2id$hidden-hash")
        execute(tx, "UPDATE profiles SET notes = %s", ("x" * 500,))
        tables = inspection.list_relations(tx)
    view_dbs = load("view_dbs")
    monkeypatch.setattr(view_dbs, "load_settings", lambda: settings)
    assert view_dbs.main([]) == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^{table.name} \(", shown, re.MULTILINE) for table in tables)
    assert re.search(r"^sample_blocks \(2 rows, \d+ kB\): Samples", shown, re.MULTILINE)
    assert re.search(r"^user_sensor \(view\): ", shown, re.MULTILINE)
    assert "sample_blocks_default" not in shown, "partitions are counted with their table"
    assert "(hidden)" in shown
    assert "hidden-hash" not in shown
    assert "7 bytes" in shown, "the artifact is shown by its length"
    assert "x" * 32 not in shown


def test_reading_transaction_refuses_changes(pool: Pool, filled: Filled) -> None:
    with pytest.raises(StoreError, match="read-only"), pool.transaction() as tx:
        inspection.begin_reading(tx)
        execute(tx, "DELETE FROM profiles")


def test_committed_diagram_is_current(pool: Pool) -> None:
    with pool.transaction() as tx:
        content = load("draw_schema").pages(inspection.list_relations(tx))
    for name, expected in content.items():
        assert (PROJECT_DIR / "docs" / name).read_text() == expected, f"docs/{name}: run python db/draw_schema.py"


def test_diagram_shows_every_table_column_and_foreign_key(pool: Pool) -> None:
    with pool.transaction() as tx:
        tables = inspection.list_relations(tx)
    svg, mermaid = draw_svg(tables), draw_mermaid(tables)
    texts = {element.text for element in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")}
    n_keys = 0
    for table in tables:
        if not table.is_view:
            assert {table.name, *(column.name for column in table.columns)} <= texts
        for key in table.foreign_keys:
            n_keys += 1
            assert f"<title>{table.name}.{key.columns[-1]} → {key.parent}</title>" in svg
            assert f"{key.parent} ||--o{{ {table.name} : " in mermaid
    assert n_keys == svg.count('class="edge"') == mermaid.count("||--o{") >= 10


def test_diagram_survives_tables_that_refer_to_one_another_and_odd_names() -> None:
    column = Column("a<b&c", "int", False, True, "y")
    tables = [
        Table("x", (column,), (ForeignKey(("a<b&c",), "y"),)),
        Table("y", (Column("p", "int", False, True, "x"),), (ForeignKey(("p",), "x"), ForeignKey(("p",), "y"))),
    ]
    ElementTree.fromstring(draw_svg(tables))


@pytest.mark.servers
def test_command_tells_a_stale_diagram(tmp_path: Path) -> None:
    command = [sys.executable, str(PROJECT_DIR / "db" / "draw_schema.py"), "--out", str(tmp_path)]
    stale = subprocess.run([*command, "--check"], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (stale.returncode, stale.stdout) == (1, ""), stale.stderr
    assert "run python db/draw_schema.py" in stale.stderr
    assert list(tmp_path.iterdir()) == []
    subprocess.run(command, capture_output=True, check=True, cwd=tmp_path)
    for name in ("schema.svg", "schema.md"):
        assert (tmp_path / name).read_text() == (PROJECT_DIR / "docs" / name).read_text()

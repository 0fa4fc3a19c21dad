"""The rules of docs/architecture.md that source text can show."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from semg.settings import PROJECT_DIR

SERVICES = ("ml_model", "udpserver", "streamlit_apps", "db")
ENTRY_MODULES = {"api", "evaluate", "job_runner", "nat_inference", "TrainMLJob", "udpserver", "Main", "webapi", "ui"}
SQL = re.compile(r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|COPY\s+\w+)\b", re.DOTALL)
DDL = re.compile(r"\b(CREATE|ALTER|DROP)\s+(TABLE|INDEX|VIEW|FUNCTION|SCHEMA|TYPE|SEQUENCE)\b")


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (PROJECT_DIR / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def strings(path: Path) -> Iterator[str]:
    """Yield the string constants of a module that are not docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.value


def offenders(paths: list[Path], forbidden: tuple[str, ...]) -> list[str]:
    return [
        f"{path.relative_to(PROJECT_DIR)} imports {name}"
        for path in paths
        for name in imports(path)
        if any(name == bad or name.startswith(bad + ".") for bad in forbidden)
    ]


def test_shared_package_imports_no_service_and_no_frontend() -> None:
    assert offenders(sources("semg"), ("fastapi", "starlette", "streamlit", *ENTRY_MODULES)) == []


def test_signals_do_no_input_or_output() -> None:
    forbidden = ("semg.store", "semg.process", "semg.settings", "semg.wire", "psycopg2", "nats", "httpx", "os")
    assert offenders(sources("semg/signals"), forbidden) == []


def test_wire_knows_neither_store_nor_signals() -> None:
    forbidden = ("semg.store", "semg.signals", "semg.settings", "psycopg2", "nats", "socket")
    assert offenders(sources("semg/wire"), forbidden) == []


def test_store_knows_neither_bus_nor_signals() -> None:
    assert offenders(sources("semg/store"), ("semg.process.bus", "semg.signals", "nats", "httpx")) == []


def test_api_knows_nothing_of_the_inference_worker() -> None:
    assert offenders(sources("ml_model/webapi", "semg/predictor"), ("semg.inference",)) == []


ROOT_MODULES = {
    "block_table", "board_types", "clock", "consent_types", "domain", "environment", "errors", "event_types", "log",
    "settings", "verdicts", "words", "__init__", "__main__",
}  # fmt: skip
"""What everything stands on; everything else lies in a room."""


def test_nothing_lies_loose_in_the_shared_package() -> None:
    assert {path.stem for path in (PROJECT_DIR / "semg").glob("*.py")} == ROOT_MODULES


def rooms() -> dict[str, set[str]]:
    """The packages of ``semg``, each with those that its modules import from."""
    found: dict[str, set[str]] = {}
    for path in sources("semg"):
        room = ".".join(path.parent.relative_to(PROJECT_DIR).parts)
        for name in imports(path):
            parts = name.split(".")
            while parts and not (PROJECT_DIR.joinpath(*parts).with_suffix(".py").is_file()):
                parts.pop()
            if parts[:1] == ["semg"] and ".".join(parts[:-1]) != room:
                found.setdefault(room, set()).add(".".join(parts[:-1]))
    return found


def test_rooms_import_each_other_in_one_direction_only() -> None:
    """Taking away, again and again, the rooms that import from none that are left, takes away all of them."""
    left = rooms()
    while free := {room for room, others in left.items() if not others & left.keys()}:
        left = {room: others for room, others in left.items() if room not in free}
    assert left == {}


def test_no_file_name_stands_in_more_than_two_places() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True).stdout
    where: dict[str, list[str]] = {}
    for path in listed.splitlines():
        where.setdefault(Path(path).name, []).append(path)
    usual = {"__init__.py", "conftest.py"}
    assert {name: paths for name, paths in where.items() if len(paths) > 2 and name not in usual} == {}


def test_entries_import_shared_code_and_never_each_other() -> None:
    for path in sources("ml_model", "udpserver"):
        others = ENTRY_MODULES - {"webapi", "ui"}
        assert offenders([path], tuple(others)) == []


def test_queries_stand_in_the_store_only() -> None:
    found = [
        f"{path.relative_to(PROJECT_DIR)}: {text[:60]!r}"
        for path in sources("semg", *SERVICES)
        if "semg/store" not in path.as_posix() and not path.as_posix().endswith("semg/platform/servers/postgres.py")
        for text in strings(path)
        if SQL.search(text)
    ]
    assert [entry for entry in found if "schema_migrations" not in entry] == []


def test_tables_are_made_in_db_only() -> None:
    found = [path.name for path in sources("semg", *SERVICES) for text in strings(path) if DDL.search(text)]
    assert found == []


def test_only_settings_reads_the_environment() -> None:
    found = [
        str(path.relative_to(PROJECT_DIR))
        for path in sources("semg", *SERVICES)
        if re.search(r"os\.(environ|getenv)", path.read_text(encoding="utf-8"))
    ]
    assert sorted(found) == ["semg/environment.py", "semg/settings.py"]


def test_keys_are_used_with_those_that_they_took_the_place_of() -> None:
    """``SECRET_KEY`` alone would read nothing that was made before a rotation: ``semg.security.keys.ring_of``."""
    allowed = {"semg/security/keys.py"}
    found = {
        path.relative_to(PROJECT_DIR).as_posix()
        for path in sources("semg", *SERVICES)
        if "secret_key.get_secret_value" in path.read_text(encoding="utf-8")
    }
    assert found == allowed


def test_pages_know_only_the_profiles_that_an_account_may_see() -> None:
    found = [
        f"{path.relative_to(PROJECT_DIR)}:{node.lineno}"
        for path in sources("streamlit_apps")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("list_profiles", "find_profile_by_name")
    ]
    assert found == [], "ask App.people instead"


COMMANDED = {
    "insert_job", "request_cancel", "activate_model", "update_repetition", "update_profile", "update_device",
    "update_session", "import_recording",
}  # fmt: skip
"""What ``semg/commands`` does with the right that it needs and its audit entry."""


def test_pages_and_api_change_by_what_asks_for_the_right_and_writes_it_down() -> None:
    found = [
        f"{path.relative_to(PROJECT_DIR)}:{node.lineno}"
        for path in sources("streamlit_apps", "ml_model/webapi")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in COMMANDED
    ]
    assert found == [], "call a function of semg/commands instead"


MEDIA = ("download_button", "image", "video", "audio", "logo", "pyplot", "graphviz_chart", "pdf")
"""What puts content into Streamlit's memory at an address that asks nobody for a login, unless given an address."""
BY_ADDRESS = {"streamlit_apps/ui/prompts.py: image", "streamlit_apps/ui/prompts.py: video"}
"""Pictures and videos of gestures, which the browser fetches from the API with a token."""


def test_files_of_people_are_not_in_the_apps_open_memory() -> None:
    found = {
        f"{path.relative_to(PROJECT_DIR)}: {node.func.attr}"
        for path in sources("streamlit_apps")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MEDIA
    }
    assert found == BY_ADDRESS, "use ui/download.py"
    prompts = ast.parse((PROJECT_DIR / "streamlit_apps" / "ui" / "prompts.py").read_text(encoding="utf-8"))
    shown = [
        ast.unparse(node.args[0])
        for node in ast.walk(prompts)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MEDIA
    ]
    assert shown == ["address", "address"]
    assert "address = download.file_url(" in ast.unparse(prompts)


def test_csv_is_written_by_what_keeps_formulas_out() -> None:
    found = {
        f"{path.relative_to(PROJECT_DIR)}: {node.func.attr}"
        for path in sources("semg", *SERVICES)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and (node.func.attr in ("to_csv", "write_csv", "DictWriter") or ast.unparse(node.func) == "csv.writer")
    }  # fmt: skip
    assert found == {
        "semg/wire/csv_cells.py: writer",
        "semg/recordings/session_export.py: write_csv",  # the labels through csv_cells.neutral
        "semg/recordings/table_formats.py: write_csv",  # likewise
        "semg/recordings/parquet_decoder.py: write_csv",  # a file handed in, for the importer: nobody opens it
    }


def test_nothing_stored_is_unpickled_and_nothing_received_is_evaluated() -> None:
    assert (
        offenders(sources("semg", *SERVICES, "testing"), ("pickle", "dill", "cloudpickle", "shelve", "marshal")) == []
    )
    for path in sources("semg", *SERVICES):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            assert name not in ("eval", "exec"), path


@pytest.mark.parametrize(
    "module",
    [
        "semg.ingest.server",
        "semg.inference.worker",
        "semg.predictor.model_cache",
        "semg.signals.model.classifier",
        "semg.jobs.runner",
    ],
)
def test_torch_is_loaded_only_where_a_network_is_trained(module: str) -> None:
    code = f"import sys, {module}; sys.exit(1 if 'torch' in sys.modules else 0)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, check=False).returncode == 0


@pytest.mark.parametrize(
    "module",
    [
        "semg.ingest.server",
        "semg.inference.worker",
        "semg.jobs.runner",
        "semg.recordings.replaying",
        "semg.signals.model.donning",
        "semg.signals.odd_repetitions",
    ],
)
def test_numba_is_loaded_only_where_windows_are_predicted(module: str) -> None:
    code = f"import sys, {module}; sys.exit(1 if 'numba' in sys.modules else 0)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, check=False).returncode == 0


def test_no_module_is_too_long_to_read() -> None:
    long = {
        str(path.relative_to(PROJECT_DIR)): n
        for path in sources("semg", *SERVICES, "testing")
        if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400 and "tests" not in path.parts
    }
    assert long == {}


def _names_of_websockets_connect(text: str) -> set[str]:
    """What a module calls the ``connect`` that it imports from websockets."""
    return {
        alias.asname or alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("websockets")
        for alias in node.names
        if alias.name == "connect"
    }


def test_no_proxy_of_the_environment_stands_before_the_platforms_own_services() -> None:
    """Only the login's provider lies outside: everything else is asked directly, whatever ``http_proxy`` says."""
    found = []
    for path in sorted([*sources("semg"), *sources("streamlit_apps"), *sources("ml_model"), *sources("testing")]):
        if "tests" in path.parts or path.parts[-2:] == ("gate", "provider.py"):
            continue
        text = path.read_text(encoding="utf-8")
        sockets = _names_of_websockets_connect(text)
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            clients = ("httpx.Client", "httpx.AsyncClient", "httpx.get", "httpx.post", "httpx.request")
            wrong = called in clients and said.get("trust_env") != "False"
            wrong |= called in sockets and said.get("proxy") != "None"
            wrong |= called == "urllib.request.urlopen" or called.startswith("requests.")
            if wrong:
                found.append(f"{path.relative_to(PROJECT_DIR)}:{node.lineno} {called}")
    assert found == []

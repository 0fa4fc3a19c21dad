"""What leaves a browser with an empty page: callbacks that draw, and changes of page while old parts still ask."""

from __future__ import annotations

import ast

from semg.settings import PROJECT_DIR

APP = PROJECT_DIR / "streamlit_apps"
DRAWS = {"attempt", "error", "warning", "info", "success", "markdown", "caption", "write", "html", "toast"}
DRAWERS = {"st", "errors"}


def modules() -> dict[str, ast.Module]:
    return {path.name: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(APP.rglob("*.py"))}


def handed_over(tree: ast.AST) -> set[str]:
    """The names of functions that are given as ``on_click``, ``on_change``, ``on_taught`` and so on."""
    found: set[str] = set()
    for node in ast.walk(tree):
        given: list[ast.expr] = []
        if isinstance(node, ast.Call):
            given = [
                one.value for one in node.keywords if (one.arg or "").startswith("on_") and one.arg != "on_refused"
            ]
        elif isinstance(node, ast.Dict):
            keys = zip(node.keys, node.values, strict=True)
            given = [value for key, value in keys if isinstance(key, ast.Constant) and str(key.value).startswith("on_")]
        for value in given:
            found |= {one.id for one in ast.walk(value) if isinstance(one, ast.Name)}
    return found


def test_callbacks_draw_nothing() -> None:
    trees = modules()
    names = set().union(*map(handed_over, trees.values()))
    assert {"_steer", "_press", "_take", "store_taught"} <= names
    wrong = []
    for module, tree in trees.items():
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef) or function.name not in names | {"store_played", "reorder"}:
                continue
            for call in ast.walk(function):
                if (
                    isinstance(call, ast.Call)
                    and isinstance(call.func, ast.Attribute)
                    and isinstance(call.func.value, ast.Name)
                    and call.func.value.id in DRAWERS
                    and call.func.attr in DRAWS
                ):
                    wrong.append(f"{module}:{call.lineno} {function.name} calls {call.func.value.id}.{call.func.attr}")
    assert wrong == []


def calls_of(name: str) -> set[str]:
    """The modules of the app that call something of Streamlit's."""
    return {
        path.relative_to(APP).as_posix()
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == name and ast.unparse(node.value) == "st"
    }


def test_pages_are_changed_and_parts_are_made_in_one_place() -> None:
    assert calls_of("switch_page") == {"ui/going.py"}
    assert calls_of("fragment") == {"ui/fragments.py"}

"""Find text of outside origin that reaches the app's pages unescaped, by reading the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testing.kits.markdown_parameters import markdown_parameters

FORBIDDEN = {"write", "write_stream", "latex", "table", "json", "badge", "echo"}
CHOICES = {"selectbox", "multiselect"}
COLUMNS = re.compile(r"^\w+Column$|^Column$")
FIGURE = re.compile(r"^(add_\w+|Heatmap|Scatter|Bar)$")
DRAWN = {"line", "shown", "md", "plain"}
"""What may name a choice in a list, or be code."""


@dataclass
class Module:
    """A source file: its constants and functions, and what it imports from the others."""

    path: Path
    tree: ast.Module
    constants: dict[str, ast.expr] = field(default_factory=dict)
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, source: str | None = None) -> Module:
        tree = ast.parse(path.read_text(encoding="utf-8") if source is None else source)
        made = cls(path, tree)
        for node in tree.body:
            match node:
                case ast.Assign(targets=[target], value=value):
                    names = target.elts if isinstance(target, ast.Tuple) else [target]
                    values = value.elts if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) else [value]
                    pairs = zip(names, values, strict=False)
                    made.constants |= {one.id: each for one, each in pairs if isinstance(one, ast.Name)}
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    made.constants[name] = value
                case ast.FunctionDef(name=name):
                    made.functions[name] = node
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == "ui":
                made.imported |= {one.asname or one.name: (node.module, one.name) for one in node.names}
        return made


class Rule:
    """Judges the modules of the app, which know of each other."""

    def __init__(self, modules: dict[str, Module], allowed: dict[str, str]) -> None:
        self.modules, self.allowed = modules, allowed

    def findings(self, module: Module) -> Iterator[str]:
        """Yield what is wrong in a module, one sentence each."""
        for scope, call in _calls(module.tree):
            where = f"{module.path.name}:{call.lineno}"
            judge = Judge(self, module, scope)
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            of = getattr(call.func.value, "id", "") if isinstance(call.func, ast.Attribute) else ""
            if name in ("md", "line", "markup") and not judge.constant(call.args[0]):
                yield f"{where}: the template of {name}() is no constant"
            if name in ("Markdown", "Markup") and not judge.constant(call.args[0]) and not self.may(module, scope):
                yield f"{where}: {name}() of what is no constant"
            if not isinstance(call.func, ast.Attribute) or of in ("logger", "text"):
                continue
            yield from (f"{where}: {said}" for said in _wrong(name, call, judge))
        for function in module.functions.values():
            if _annotated(function) == "Markdown" and not self.may(module, function):
                judge = Judge(self, module, function)
                for node in _inside(function):
                    if isinstance(node, ast.Return) and node.value and not judge.markdown(node.value):
                        yield f"{module.path.name}:{node.lineno}: {function.name}() returns what is not escaped"

    def may(self, module: Module, scope: ast.AST) -> bool:
        """Return whether a function may do this, for the reason that stands beside its name."""
        return f"{module.path.name}:{getattr(scope, 'name', '')}" in self.allowed

    def find(self, module: Module, name: str) -> tuple[Module, ast.AST] | None:
        """Return the constant or the function that a name is, here or where it is imported from."""
        if name in module.constants:
            return module, module.constants[name]
        if name in module.functions:
            return module, module.functions[name]
        home, original = module.imported.get(name, ("", ""))
        other = self.modules.get(home)
        return None if other is None or other is module else self.find(other, original)


@dataclass
class Judge:
    """Says what an expression in a function is."""

    rule: Rule
    module: Module
    scope: ast.AST

    def markdown(self, node: ast.AST | None, depth: int = 0) -> bool:
        """Return whether this is a constant, or was escaped."""
        return self._safe(node, ("md", "plain"), "Markdown", depth)

    def drawn(self, node: ast.AST | None, depth: int = 0) -> bool:
        """Return whether this is a constant, or a text without hidden characters."""
        return self._safe(node, tuple(DRAWN), "Markdown", depth)

    def html(self, node: ast.AST | None, depth: int = 0) -> bool:
        """Return whether this is a constant, or HTML whose values are escaped."""
        return self._safe(node, ("markup", "joined"), "Markup", depth)

    def constant(self, node: ast.AST | None) -> bool:
        """Return whether this is made of nothing but constants of the program."""
        return self._safe(node, (), "", 0)

    def _safe(self, node: Any, makers: tuple[str, ...], kind: str, depth: int) -> bool:
        if depth > 8:
            return False
        again = [makers, kind, depth + 1]
        match node:
            case None | ast.Constant() | ast.BinOp(left=ast.Constant(), right=ast.Constant()):
                return True
            case ast.IfExp(body=one, orelse=other):
                return self._safe(one, *again) and self._safe(other, *again)
            case ast.BoolOp(values=parts) | ast.List(elts=parts) | ast.Tuple(elts=parts) | ast.Set(elts=parts):
                return all(self._safe(part, *again) for part in parts)
            case ast.Dict(keys=keys, values=parts):
                return all(self._safe(part, *again) for part in [*keys, *parts])
            case ast.ListComp(elt=one) | ast.GeneratorExp(elt=one) | ast.Lambda(body=one):
                return self._safe(one, *again)
            case ast.Subscript(value=one) | ast.Starred(value=one):
                return self._safe(one, *again)
            case ast.Call():
                return self._called(node, makers, kind, depth)
            case ast.Attribute(value=one, attr="__getitem__"):
                return self._safe(one, *again)
            case ast.Attribute(value=ast.Name(id=name), attr=attr):
                home, original = self.module.imported.get(name, ("", ""))
                other = self.rule.modules.get(f"{home}.{original}")
                found = other and (other.constants.get(attr) or other.functions.get(attr))
                return other is not None and self._elsewhere((other, found) if found else None, makers, kind, depth)
            case ast.Name(id=name):
                if name in makers:
                    return True
                bound = list(_bindings(self.scope, name))
                if bound:
                    return all(one is not None and self._safe(one, *again) for one in bound)
                return self._elsewhere(self.rule.find(self.module, name), makers, kind, depth)
        return False

    def _called(self, call: ast.Call, makers: tuple[str, ...], kind: str, depth: int) -> bool:
        match call.func:
            case ast.Name(id=name) if name in makers:
                return True
            case ast.Name(id="Markdown" | "Markup" | "list" | "tuple"):
                return all(self._safe(one, makers, kind, depth + 1) for one in call.args)
            case ast.Attribute(value=one, attr="get" | "items" | "values" | "keys"):
                return self._safe(one, makers, kind, depth + 1)
            case ast.Name() | ast.Attribute(value=ast.Name()):
                return self._safe(call.func, makers, kind, depth + 1)
        return False

    def _elsewhere(self, found: Any, makers: tuple[str, ...], kind: str, depth: int) -> bool:
        """Return whether a constant or a function of a module is safe: of a function, its annotation or its returns."""
        if found is None:
            return False
        module, node = found
        judge = Judge(self.rule, module, module.tree if not isinstance(node, ast.FunctionDef) else node)
        if not isinstance(node, ast.FunctionDef):
            return judge._safe(node, makers, kind, depth + 1)
        if kind and _annotated(node) == kind:
            return True
        values = [one.value for one in _inside(node) if isinstance(one, ast.Return)]
        return bool(makers and values) and all(judge._safe(one, makers, kind, depth + 1) for one in values)


def _wrong(name: str, call: ast.Call, judge: Judge) -> Iterator[str]:
    given = {one.arg: one.value for one in call.keywords if one.arg}
    first = call.args[0] if call.args else None
    if name in FORBIDDEN and first is not None:
        yield f"{name}() parses what it is given; use another element"
    if "unsafe_allow_html" in given:
        yield "unsafe_allow_html draws HTML; use html() with markup()"
    for position, parameter in markdown_parameters().get(name, []):
        value = call.args[position] if position < len(call.args) else given.get(parameter)
        if parameter not in ("options", "format_func") and not judge.markdown(value):
            yield f"{parameter} of {name}() is Markdown; use md() or plain()"
    if any(parameter == "options" for _, parameter in markdown_parameters().get(name, [])):
        options = given.get("options", call.args[1] if len(call.args) > 1 else None)
        if not judge.markdown(given.get("format_func", options)):
            yield f"options of {name}() are Markdown; use md() or plain()"
    if name in CHOICES:
        options = given.get("options", call.args[1] if len(call.args) > 1 else None)
        if not judge.drawn(given.get("format_func", options)):
            yield f"options of {name}() need shown() or line() as format_func"
    if name == "dataframe" and _named(first) != "cells":
        yield "dataframe() needs cells()"
    if name in ("code", "text") and not judge.drawn(first):
        yield f"{name}() needs shown()"
    if name == "html" and not judge.html(first):
        yield "html() needs markup()"
    if COLUMNS.match(name) and not all(judge.markdown(given.get(one)) for one in ("help", "label")):
        yield f"help and label of {name}() are Markdown; use md() or plain()"
    if FIGURE.match(name):
        for parameter in ("name", "hovertemplate", "texttemplate"):
            if not judge._safe(given.get(parameter), ("chart",), "", 0):
                yield f"{parameter} of {name}() needs chart()"


def _named(node: ast.AST | None) -> str:
    return getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""


def _annotated(function: ast.FunctionDef) -> str:
    return getattr(function.returns, "id", "")


def _calls(tree: ast.Module) -> Iterator[tuple[ast.AST, ast.Call]]:
    """Yield each call with the function that it stands in; a lambda or a comprehension is part of that function."""
    waiting: list[tuple[ast.AST, ast.AST]] = [(tree, tree)]
    while waiting:
        scope, node = waiting.pop()
        if isinstance(node, ast.Call):
            yield scope, node
        inner = node if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else scope
        waiting += [(inner, child) for child in ast.iter_child_nodes(node)]


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function, or of a module, without those of the functions inside it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += ast.iter_child_nodes(node)


def _bindings(scope: ast.AST, name: str) -> Iterator[ast.expr | None]:
    """Yield what a name is bound to in a function; None for what the source does not say."""
    if isinstance(scope, ast.FunctionDef):
        arguments = scope.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        yield from (None for one in every if one is not None and one.arg == name)
    for node in _inside(scope):
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _bound(target, value, name, each=False)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                yield from _bound(target, value, name, each=False)
            case ast.AugAssign(target=ast.Name(id=bound)) if bound == name:
                yield None
            case ast.For(target=target, iter=value) | ast.comprehension(target=target, iter=value):
                yield from _bound(target, value, name, each=True)
            case ast.withitem(optional_vars=ast.expr() as target):
                yield from (None for one in ast.walk(target) if isinstance(one, ast.Name) and one.id == name)


def _bound(target: ast.expr, value: ast.expr, name: str, *, each: bool) -> Iterator[ast.expr | None]:
    if isinstance(target, ast.Name):
        if target.id == name:
            yield value
        return
    if not isinstance(target, ast.Tuple):
        return
    parts: list[Any] = [value] * len(target.elts)  # of a constant, every part is one
    if not each and isinstance(value, ast.Tuple) and len(value.elts) == len(target.elts):
        parts = value.elts
    if each and _named(value) == "zip" and isinstance(value, ast.Call):
        parts = value.args
    if each and _named(value) == "enumerate" and isinstance(value, ast.Call):
        parts = [ast.Constant(0), value.args[0]]
    for one, part in zip(target.elts, parts, strict=False):
        yield from _bound(one, part, name, each=each)

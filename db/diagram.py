"""The schema as a picture: an SVG, and the same as a Mermaid diagram. Pure functions of the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from semg.store.inspection import Table

ROW, HEAD, GAP_X, GAP_Y, MARGIN = 18, 26, 70, 24, 20
CHARACTER = 6.7
"""Width in pixels of a character of an 11 px monospaced font, rounded up from the 0.6 em that such fonts have."""

_STYLE = """
text { font: 11px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #1f2933; }
.head { font-weight: bold; fill: #ffffff; }
.kind { fill: #7b8794; }
.box { fill: #ffffff; stroke: #52606d; }
.title { fill: #1d5a7a; }
.edge { fill: none; stroke: #d9822b; stroke-width: 1.4; }
"""


@dataclass(frozen=True, slots=True)
class _Box:
    table: Table
    x: float
    y: float
    width: float

    @property
    def height(self) -> float:
        return HEAD + ROW * len(self.table.columns) + 6

    def row_y(self, column: str) -> float:
        """Middle of a column's row."""
        names = [found.name for found in self.table.columns]
        return self.y + HEAD + ROW * names.index(column) + ROW / 2 + 3


def draw_svg(tables: Sequence[Table]) -> str:
    """Return the diagram: parents left of their children, tables without foreign keys where there is room.

    Views are left out: they would repeat the columns of tables.
    """
    boxes = _placed([table for table in tables if not table.is_view])
    width = max(box.x + box.width for box in boxes.values()) + MARGIN
    height = max(box.y + box.height for box in boxes.values()) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="Database schema">',
        f"<style>{_STYLE}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#f5f7fa"/>',
    ]
    # Lines first: where one has to pass a box, the box covers it.
    for box in boxes.values():
        parts += [_edge(box, key.columns[-1], boxes[key.parent]) for key in box.table.foreign_keys]
    for box in boxes.values():
        parts += _drawn(box)
    return "\n".join([*parts, "</svg>", ""])


def draw_mermaid(tables: Sequence[Table]) -> str:
    """Return the tables and foreign keys as a Mermaid ``erDiagram``."""
    lines = ["erDiagram"]
    for table in tables:
        for key in table.foreign_keys:
            lines.append(f'    {key.parent} ||--o{{ {table.name} : "{", ".join(key.columns)}"')
    for table in tables:
        lines.append(f"    {table.name} {{")
        for column in table.columns:
            marks = [mark for mark, holds in (("PK", column.primary_key), ("FK", column.references)) if holds]
            kind = column.kind.replace("timestamp with time zone", "timestamptz").replace(" ", "_")
            lines.append(f"        {kind} {column.name} {', '.join(marks)}".rstrip())
        lines.append("    }")
    return "\n".join(lines) + "\n"


def _layers(tables: Sequence[Table]) -> dict[str, int]:
    """Return for each connected table the length of its longest way to a table without foreign keys."""
    by_name = {table.name: table for table in tables}

    def depth(name: str, seen: tuple[str, ...]) -> int:
        parents = {key.parent for key in by_name[name].foreign_keys} - {name, *seen}
        return 1 + max((depth(parent, (*seen, name)) for parent in parents), default=-1)

    parents = {key.parent for table in tables for key in table.foreign_keys}
    return {table.name: depth(table.name, ()) for table in tables if table.foreign_keys or table.name in parents}


def _placed(tables: Sequence[Table]) -> dict[str, _Box]:
    layers = _layers(tables)
    columns: list[list[Table]] = [[] for _ in range(max(layers.values(), default=0) + 1)]
    for table in sorted(tables, key=lambda table: (len(table.columns), table.name)):
        if table.name in layers:
            columns[layers[table.name]].append(table)
    # Large tables without keys first, each into the column that is shortest then.
    for table in sorted(tables, key=lambda table: (-len(table.columns), table.name)):
        if table.name not in layers:
            min(columns, key=lambda column: sum(HEAD + GAP_Y + ROW * len(t.columns) for t in column)).append(table)
    boxes: dict[str, _Box] = {}
    x = float(MARGIN)
    for column in columns:
        width = max((_width(table) for table in column), default=0.0)
        y = float(MARGIN)
        for table in column:
            boxes[table.name] = _Box(table, x, y, width)
            y += boxes[table.name].height + GAP_Y
        x += width + GAP_X
    return boxes


def _width(table: Table) -> float:
    longest = max(len(column.name) + len(_kind(column.kind)) for column in table.columns) + 6
    return CHARACTER * max(longest, len(table.name) + 4) + 8


def _kind(kind: str) -> str:
    return kind.replace("timestamp with time zone", "timestamptz").replace("double precision", "float8")


def _edge(child: _Box, column: str, parent: _Box) -> str:
    x1, y1 = child.x, child.row_y(column)
    x2, y2 = parent.x + parent.width, parent.y + HEAD / 2
    if x2 > x1:  # the same column, or a ring: leave and arrive on the left
        x2 = parent.x
        bend = min(x1, x2) - GAP_X / 2
        path = f"M {x1:.0f} {y1:.0f} C {bend:.0f} {y1:.0f} {bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    else:
        middle = (x1 + x2) / 2
        path = f"M {x1:.0f} {y1:.0f} C {middle:.0f} {y1:.0f} {middle:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
    tip = f'<circle cx="{x2:.0f}" cy="{y2:.0f}" r="3" fill="#d9822b"/>'
    title = f"<title>{escape(child.table.name)}.{escape(column)} → {escape(parent.table.name)}</title>"
    return f'<g>{title}<path class="edge" d="{path}"/>{tip}</g>'


def _drawn(box: _Box) -> list[str]:
    table, x, y = box.table, box.x, box.y
    parts = [
        f"<g><title>{escape(table.comment)}</title>",
        f'<rect class="box" x="{x:.0f}" y="{y:.0f}" width="{box.width:.0f}" height="{box.height:.0f}" rx="4"/>',
        f'<rect class="title" x="{x:.0f}" y="{y:.0f}" width="{box.width:.0f}" height="{HEAD}" rx="4"/>',
        f'<text class="head" x="{x + 8:.0f}" y="{y + 17:.0f}">{escape(table.name)}</text>',
    ]
    for column in table.columns:
        base = box.row_y(column.name) + 4
        mark = "●" if column.primary_key else "→" if column.references else ""
        kind = _kind(column.kind) + ("?" if column.nullable else "")
        parts.append(f'<text x="{x + 6:.0f}" y="{base:.0f}">{mark}</text>')
        parts.append(f'<text x="{x + 20:.0f}" y="{base:.0f}">{escape(column.name)}</text>')
        parts.append(
            f'<text class="kind" x="{x + box.width - 8:.0f}" y="{base:.0f}" text-anchor="end">{escape(kind)}</text>'
        )
    return [*parts, "</g>"]

"""A table whose cells wrap, and which on a narrow window becomes a card a row: no column is cut off or out of sight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from ui.text import Markup, joined, markup


def show_table(name: str, rows: Sequence[Mapping[str, object]], height_px: int = 0) -> None:
    """Show rows as a table.

    Parameters
    ----------
    name
        Read by screen readers.
    rows
        With the same columns each.
    height_px
        Beyond it the table scrolls by itself; 0: never.
    """
    if not rows:
        return
    head = joined(markup('<th role="columnheader" scope="col">{column}</th>', column=one) for one in rows[0])
    bound = markup("max-height:{px}px;overflow-y:auto", px=height_px) if height_px else Markup("")
    st.html(
        markup(
            '<div class="semg-table" role="region" aria-label="{name}" tabindex="0" style="{bound}">'
            '<table role="table" aria-label="{name}"><thead role="rowgroup"><tr role="row">{head}</tr></thead>'
            '<tbody role="rowgroup">{body}</tbody></table></div>',
            name=name,
            bound=bound,
            head=head,
            body=joined(_row(one) for one in rows),
        )
    )


def _row(row: Mapping[str, object]) -> Markup:
    cells = joined(
        markup('<td role="cell" data-label="{column}">{text}</td>', column=column, text=str(text))
        for column, text in row.items()
    )
    return markup('<tr role="row">{cells}</tr>', cells=cells)

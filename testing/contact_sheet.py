"""The contact sheet of all drawn hands, docs/images/hands.svg.

python testing/contact_sheet.py             writes it anew
python testing/contact_sheet.py --check     tells whether it is current, exit code 1 if not
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

from semg.pictures import hand_svg
from semg.pictures.postures import POSTURES
from semg.pictures.shapes import words
from semg.settings import PROJECT_DIR

DOCUMENT = PROJECT_DIR / "docs" / "images" / "hands.svg"
COLUMNS, SIDE, GAP, LINE = 7, 128, 12, 20


def sheet() -> str:
    """Return the sheet as the text of an SVG file: each hand with the name of its posture."""
    made, rows = "", -(-len(POSTURES) // COLUMNS)
    for number, name in enumerate(POSTURES):
        x = GAP + number % COLUMNS * (SIDE + GAP)
        y = GAP + number // COLUMNS * (SIDE + LINE + GAP)
        hand = hand_svg(name) or ""
        made += hand.replace('width="200" height="200"', f'x="{x}" y="{y}" width="{SIDE}" height="{SIDE}"', 1)
        made += words(x + SIDE / 2, y + SIDE + 15, name, size=12)
    width, height = GAP + COLUMNS * (SIDE + GAP), GAP + rows * (SIDE + LINE + GAP)
    sizes = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    back = f'<rect width="{width}" height="{height}" fill="#ffffff"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {sizes}>{back}{made}</svg>\n'


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the sheet, or check it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when it is not current")
    made = sheet()
    if parser.parse_args(arguments).check:
        return 0 if DOCUMENT.read_text(encoding="utf-8") == made else 1
    DOCUMENT.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The gesture bank of a profile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_args

from semg.domain import REST, Gesture, GestureKind
from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.names.normal_form import key
from semg.store import checks
from semg.store.pool import Transaction, execute, one, rows

_MAX_NAME = 100
_MAX_DESCRIPTION = 2000
_MAX_PHRASE = 200
MAX_PROMPT_BYTES = 8 << 20
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"\x1a\x45\xdf\xa3": "video/webm",
}
_SELECT = """
    SELECT g.gesture_id, g.user_id, g.name, g.description, g.position, g.phrase, g.kind, p.media_type
    FROM gestures g LEFT JOIN gesture_prompts p USING (gesture_id)
"""


def list_gestures(tx: Transaction, user_id: int) -> list[Gesture]:
    """Return the gesture bank in its order."""
    return [
        _gesture(row)
        for row in rows(tx, _SELECT + " WHERE g.user_id = %s ORDER BY g.position, g.gesture_id", (user_id,))
    ]


def get_gesture(tx: Transaction, gesture_id: int) -> Gesture:
    """Return a gesture.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    row = one(tx, _SELECT + " WHERE g.gesture_id = %s", (gesture_id,))
    if row is None:
        raise NotFoundError(f"there is no gesture {gesture_id}; it may have been deleted")
    return _gesture(row)


def insert_gesture(
    tx: Transaction, user_id: int, name: str, description: str = "", phrase: str = "", kind: GestureKind = "held"
) -> int:
    """Add a gesture at the end of the bank, and return its number.

    Raises
    ------
    InvalidValueError
        The name, the description or the kind does not fit.
    ConflictError
        The bank has the name already, or there is no such profile.
    """
    name = checks.name("name", name, _MAX_NAME)
    _lock_bank(tx, user_id)
    checks.free_name(name, [one.name for one in list_gestures(tx, user_id)], _name_taken)
    made = one(
        tx,
        """
        INSERT INTO gestures (user_id, name, description, phrase, kind, position)
        SELECT %(user)s, %(name)s, %(text)s, %(phrase)s, %(kind)s, coalesce(max(position), 0) + 1
        FROM gestures WHERE user_id = %(user)s
        ON CONFLICT (user_id, name) DO NOTHING RETURNING gesture_id
        """,
        {
            "user": user_id,
            "name": name,
            "text": checks.text("description", description, _MAX_DESCRIPTION),
            "phrase": _phrase(phrase),
            "kind": _kind(name, kind),
        },
    )
    if made is None:
        raise _name_taken(name)
    return int(made.gesture_id)


def ensure_gestures(tx: Transaction, user_id: int, names: Sequence[str]) -> dict[str, int]:
    """Add those gestures that the bank does not have, and return the number of each name; case does not count."""
    bank = list_gestures(tx, user_id)
    known = {key(gesture.name): gesture.gesture_id for gesture in bank}
    exact = {gesture.name: gesture.gesture_id for gesture in bank}  # from before case did not count
    for name in dict.fromkeys(names):
        if key(name) not in known:
            known[key(name)] = insert_gesture(tx, user_id, name)
    return {name: exact.get(name, known[key(name)]) for name in names}


def update_gesture(
    tx: Transaction,
    gesture_id: int,
    name: str | None = None,
    description: str | None = None,
    position: int | None = None,
    phrase: str | None = None,
    kind: GestureKind | None = None,
) -> None:
    """Change the given fields of a gesture. What was recorded of it is of its kind now.

    Raises
    ------
    NotFoundError
        There is no such gesture.
    InvalidValueError
        A field does not fit.
    ConflictError
        It is rest, which keeps its name, or the bank has the name already.
    """
    gesture = get_gesture(tx, gesture_id)
    name = gesture.name if name is None else checks.name("name", name, _MAX_NAME)
    if gesture.name == REST and name != REST:
        raise ConflictError("rest keeps its name: training and decisions rely on it")
    if name != gesture.name:
        _lock_bank(tx, gesture.user_id)
        others = [one.name for one in list_gestures(tx, gesture.user_id) if one.gesture_id != gesture_id]
        checks.free_name(name, others, _name_taken)
    description = gesture.description if description is None else description
    with checks.refused_as(str(_name_taken(name))):
        execute(
            tx,
            """
            UPDATE gestures SET name = %s, description = %s, position = %s, phrase = %s, kind = %s
            WHERE gesture_id = %s
            """,
            (
                name,
                checks.text("description", description, _MAX_DESCRIPTION),
                gesture.position if position is None else position,
                gesture.phrase if phrase is None else _phrase(phrase),
                gesture.kind if kind is None else _kind(name, kind),
                gesture_id,
            ),
        )


def delete_gesture(tx: Transaction, gesture_id: int, *, force: bool = False) -> int:
    """Remove a gesture, and return how many repetitions went with it.

    Parameters
    ----------
    force
        Remove it together with its repetitions; the samples stay, without that label.

    Raises
    ------
    NotFoundError
        There is no such gesture.
    ConflictError
        It is rest, or has repetitions and ``force`` is not set.
    """
    gesture = get_gesture(tx, gesture_id)
    if gesture.name == REST:
        raise ConflictError("rest is in every gesture bank and cannot be deleted")
    found = one(tx, "SELECT count(*) AS n FROM repetitions WHERE gesture_id = %s", (gesture_id,))
    n_repetitions = int(found.n) if found is not None else 0
    if n_repetitions and not force:
        raise ConflictError(
            f"{gesture.name!r} has {n_repetitions} recorded repetitions, which would lose their label; "
            "delete them first, or confirm that they go too"
        )
    execute(tx, "DELETE FROM gestures WHERE gesture_id = %s", (gesture_id,))
    return n_repetitions


def reorder_gestures(tx: Transaction, user_id: int, gesture_ids: Sequence[int]) -> None:
    """Set the order of the bank.

    Raises
    ------
    InvalidValueError
        The numbers are not exactly those of the bank.
    """
    _lock_bank(tx, user_id)
    bank = {gesture.gesture_id for gesture in list_gestures(tx, user_id)}
    if len(gesture_ids) != len(bank) or set(gesture_ids) != bank:
        raise InvalidValueError("gesture_ids", "reload the page and order the gestures again: the bank has changed")
    execute(
        tx,
        """
        UPDATE gestures g SET position = o.position
        FROM unnest(%s::bigint[]) WITH ORDINALITY AS o(gesture_id, position) WHERE g.gesture_id = o.gesture_id
        """,
        (list(gesture_ids),),
    )


def move_gesture(tx: Transaction, user_id: int, gesture_id: int, index: int) -> None:
    """Put a gesture at an index of the bank's order, counted from 0.

    Raises
    ------
    NotFoundError
        The bank has no such gesture.
    """
    _lock_bank(tx, user_id)
    ids = [gesture.gesture_id for gesture in list_gestures(tx, user_id)]
    if gesture_id not in ids:
        raise NotFoundError(f"there is no gesture {gesture_id}; it may have been deleted")
    ids.remove(gesture_id)
    ids.insert(index, gesture_id)
    reorder_gestures(tx, user_id, ids)


def copy_bank(tx: Transaction, from_user_id: int, to_user_id: int) -> int:
    """Add to one bank the gestures of another that it does not have, with phrases and prompts; return how many."""
    known = {gesture.name for gesture in list_gestures(tx, to_user_id)}
    missing = [gesture for gesture in list_gestures(tx, from_user_id) if gesture.name not in known]
    for gesture in missing:
        made = insert_gesture(tx, to_user_id, gesture.name, gesture.description, gesture.phrase, gesture.kind)
        execute(
            tx,
            """
            INSERT INTO gesture_prompts (gesture_id, media_type, content)
            SELECT %s, media_type, content FROM gesture_prompts WHERE gesture_id = %s
            """,
            (made, gesture.gesture_id),
        )
    return len(missing)


def set_prompt(tx: Transaction, gesture_id: int, content: bytes) -> str:
    """Store the picture or video that shows how a gesture is performed, and return its media type.

    Raises
    ------
    NotFoundError
        There is no such gesture.
    InvalidValueError
        It is of an unknown kind, or too large.
    """
    get_gesture(tx, gesture_id)
    if len(content) > MAX_PROMPT_BYTES:
        raise InvalidValueError(
            "prompt", f"choose a file of at most {MAX_PROMPT_BYTES >> 20} MB (now {len(content) / (1 << 20):.1f} MB)"
        )
    media_type = media_type_of(content)
    if media_type is None:
        raise InvalidValueError("prompt", "choose a PNG, JPEG, GIF or WebP picture, or an MP4 or WebM video")
    execute(
        tx,
        """
        INSERT INTO gesture_prompts (gesture_id, media_type, content) VALUES (%s, %s, %s)
        ON CONFLICT (gesture_id) DO UPDATE
        SET media_type = EXCLUDED.media_type, content = EXCLUDED.content, changed_at = now()
        """,
        (gesture_id, media_type, content),
    )
    return media_type


def find_prompt(tx: Transaction, gesture_id: int) -> tuple[str, bytes] | None:
    """Return media type and content of a gesture's picture or video, or None."""
    row = one(tx, "SELECT media_type, content FROM gesture_prompts WHERE gesture_id = %s", (gesture_id,))
    return None if row is None else (row.media_type, bytes(row.content))


def delete_prompt(tx: Transaction, gesture_id: int) -> None:
    """Remove a gesture's picture or video, if it has one."""
    execute(tx, "DELETE FROM gesture_prompts WHERE gesture_id = %s", (gesture_id,))


def media_type_of(content: bytes) -> str | None:
    """Recognise a picture or video by its first bytes; a file's name may say anything."""
    for start, media_type in _STARTS.items():
        if content.startswith(start):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "video/mp4" if content[4:8] == b"ftyp" else None


def _phrase(phrase: str) -> str:
    """Return a phrase on one line."""
    line = " ".join(checks.text("phrase", phrase, _MAX_PHRASE).split())
    return checks.name("phrase", line, _MAX_PHRASE) if line else ""


def _kind(name: str, kind: GestureKind) -> GestureKind:
    """Return a kind of gesture that a gesture of this name may be of."""
    if kind not in get_args(GestureKind):
        raise InvalidValueError("kind", f"choose held or dynamic (now {str(kind)[:40]!r})")
    if name == REST and kind != "held":
        raise InvalidValueError("kind", "rest is held: everything else is told from it")
    return kind


def _lock_bank(tx: Transaction, user_id: int) -> None:
    """Lock the numbering of a bank's gestures until the transaction ends."""
    if one(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR NO KEY UPDATE", (user_id,)) is None:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")


def _name_taken(name: str) -> ConflictError:
    return ConflictError(f"choose another name: the gesture bank already has {name!r}")


def _gesture(row: Any) -> Gesture:
    return Gesture(
        gesture_id=row.gesture_id,
        user_id=row.user_id,
        name=row.name,
        description=row.description,
        position=row.position,
        phrase=row.phrase,
        prompt_type=row.media_type,
        kind=row.kind,
    )

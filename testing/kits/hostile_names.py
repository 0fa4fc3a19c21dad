"""Names that are more than names where somebody forgets that they are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from semg.capture import make_plan
from semg.domain import REST
from semg.privacy.consent import TEST_PERSON
from semg.security.board_keys import make_board
from semg.store import accounts, api_tokens, audit, gestures, jobs, profiles, services, sessions
from semg.store.pool import Pool, execute
from testing.kits.page_data import CHANNELS, RATE_HZ, insert_models, make_session

NAMES = {
    "picture": "x![](http://127.0.0.1:{port}/p.png)",
    "named picture": "![alt][1] [1]: http://127.0.0.1:{port}/r.png",
    "link": "[click](http://127.0.0.1:{port}/l)",
    "script link": "[x](javascript:document.title='taken')",
    "bare address": "see http://127.0.0.1:{port}/a or www.example.org",
    "address in angles": "<http://127.0.0.1:{port}/b>",
    "mail": "ada@example.org",
    "html": "<img src=http://127.0.0.1:{port}/h.png onerror=alert(1)><script>alert(1)</script>",
    "entity": "&lt;b&gt; &amp; &#33;",
    "formula": r"$\text{a}$ and $$x^2$$",
    "directives": ":red[hot] :blue-badge[new] :small[s] :material/delete: :streamlit: :smile:",
    "attributes": ":color[x]{{background=url(http://127.0.0.1:{port}/c.png)}}",
    "emphasis": "**bold** _it_ ~~gone~~ `code` *",
    "arrows": "a -> b <- c -- d >= e <= f ~= g <-> h",
    "list": "- item",
    "number": "1. item",
    "heading": "# head",
    "quote": "> said",
    "table": "| a | b |",
    "footnote": "[^1]",
    "plotly": '<a href="http://127.0.0.1:{port}/pl">p</a><br>%{{x}} <b>b</b>',
    "backslash": "C:\\temp\\*x*\\",
    "hebrew": "שלום (1)",
    "punctuation": "(a)!",
}
"""Any of them may be stored as a name; ``{port}`` is where a stranger listens."""
HIDDEN = "Ada\u202egnp.exe\u2066\u200b\u00ad\x07"
"""Was stored before names were looked at for such characters, or is a text that may have line breaks."""


def names(port: int) -> dict[str, str]:
    """Return the names for a stranger's port."""
    return {kind: text.format(port=port) if "{" in text and kind != "formula" else text for kind, text in NAMES.items()}


def fill(pool: Pool, secret_key: str, port: int) -> int:
    """Store what people can store, called by these names everywhere, and give the number of the profile that has it.

    Profiles, gestures with descriptions and phrases, sessions, left-out repetitions, jobs that failed, models with
    reports, boards, accounts, tokens, senders, and a capture that runs for another profile.
    """
    texts, since = list(names(port).values()), datetime.now(UTC) - timedelta(days=1)
    with pool.transaction() as tx:
        people = [
            profiles.insert_profile(
                tx, name, channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON, notes=f"{name}\n{HIDDEN}"
            )
            for name in texts
        ]
        user_id = people[0]
        for name in texts:
            gestures.insert_gesture(tx, user_id, name, f"{name} {HIDDEN}", name)
            make_board(tx, secret_key, name)
            accounts.insert_account(tx, name, "", "viewer")
        for account in accounts.list_accounts(tx):
            api_tokens.insert_token(tx, account.account_id, texts[0], ["read"])
        audit.record(tx, audit.Actor(texts[0]), "profile.changed", user_id)
        device = profiles.get_profile(tx, user_id).device
    first = make_session(pool, user_id, since, texts[0])
    with pool.transaction() as tx:
        ids = [first]
        for index, name in enumerate(texts[1:], 1):
            begun = since + timedelta(minutes=index)
            ended = begun + timedelta(seconds=12)
            ids.append(
                sessions.insert_session(tx, user_id, name, "import", begun, ended, status="completed", device=device)
            )
        known = gestures.ensure_gestures(tx, user_id, texts)
        for number, name in zip(ids[1:], texts, strict=False):
            begun = sessions.get_session(tx, number).started_at
            sessions.insert_repetition(tx, number, known[name], 1, begun, begun + timedelta(seconds=3))
        one = sessions.list_repetitions(tx, first)[1]
        sessions.update_repetition(tx, one.repetition_id, excluded=True, reason=f"{texts[0]} {HIDDEN}")
        for name in texts[:15]:
            job = jobs.insert_job(tx, user_id, ids[:2], "cnn", {})
            jobs.claim_job(tx, job, "runner")
            jobs.update_progress(tx, job, 10.0, 1, 3, line=f"{name} {HIDDEN}")
            jobs.fail_job(tx, job, f"{name}\n{HIDDEN}")
        services.upsert_service(tx, "udpserver", "a:1", 1, datetime.now(UTC), {"sources": _sources(texts)})
        other = profiles.get_profile(tx, people[1])
        gestures.insert_gesture(tx, people[1], texts[0])
        plan = make_plan([texts[0]], 3, 2.0, 2.0, 1.0, False, 0)
        sessions.insert_session(
            tx, people[1], texts[0], "capture", datetime.now(UTC), status="recording", plan=plan, device=other.device
        )
    insert_models(pool, user_id, 2, _report(texts))
    _hide(pool, people[-1])
    return user_id


def _hide(pool: Pool, user_id: int) -> None:
    """Put hidden characters into what was stored before names were looked at."""
    with pool.transaction() as tx:
        execute(tx, "UPDATE profiles SET name = %s WHERE user_id = %s", (HIDDEN.replace("\x07", ""), user_id))
        execute(tx, "UPDATE gestures SET description = %s WHERE user_id = %s AND name = %s", (HIDDEN, user_id, REST))


def _sources(texts: list[str]) -> list[dict[str, Any]]:
    made = {"rate_hz": 200.0, "channels": 4, "values": [1.0], "age_s": 0.1, "state": "unknown_profile"}
    return [made | {"address": name, "user_id": 70_000 + index} for index, name in enumerate(texts)]


def _report(texts: list[str]) -> dict[str, Any]:
    n = len(texts)
    return {
        "classes": texts,
        "confusion": [[5 if row == column else 0 for column in range(n)] for row in range(n)],
        "per_gesture": {name: {"recall": 0.5, "n": 10} for name in texts},
        "held_out": texts,
        "advice": f"Record more repetitions of {', '.join(texts)}.",
        "split": {"by": "session", "description": f"{texts[0]} held out"},
        "previous": {"comparable": False, "why": texts[0]},
    }

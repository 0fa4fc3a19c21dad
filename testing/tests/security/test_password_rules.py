"""New passwords: long enough, not what is guessed first, and no rule about kinds of characters."""

from __future__ import annotations

import random
import socket
import string
import time

import pytest
from argon2 import PasswordHasher

from semg.errors import InvalidValueError
from semg.security import passwords
from semg.security.password_rules import LOOKED_AT, MAX_LENGTH, MIN_LENGTH, check_password

LOGIN = "maria.schmidt"


@pytest.mark.parametrize("length", [0, 1, MIN_LENGTH - 1, MAX_LENGTH + 1])
def test_password_of_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(
        InvalidValueError, match=rf"^password: enter a password of 10 to 1,024 characters \(now {length:,}\)"
    ):
        check_password(("kJ7mQ2xWfR" * 200)[:length])


@pytest.mark.parametrize(
    "password",
    [
        "password12", "Password123!", "P@ssw0rd2026", "iloveyou123", "passwort123", "hallo12345",  # common
        "qwertyuiop12", "qwertzuiop", "asdfghjkl;'", "1qaz2wsx3edc", "yxcvbnm,.-",  # keyboards, a German one too
        "aaaaaaaaaaaa", "abcabcabcabc", "1234567890", "abcdefghijklm", "qwertyqwertyqwerty", "x" * MAX_LENGTH,
        "2026-11-29", "29111985291",  # dates
        "maria.schmidt1", "Maria.Schmidt!", "MARIASCHMIDT", "m4ria.schmidt", "schmidt-2026", "Maria123456789",
        "semg2024semg", "sEMG gesture", "gesturerecognition", "Gesture Recognition 1", "SEMG-semg-SEMG-1",
    ],
)  # fmt: skip
def test_what_is_guessed_first_is_refused(password: str) -> None:
    with pytest.raises(InvalidValueError, match="^password: choose one that is (harder|more).* Three or four words"):
        check_password(password, LOGIN)


@pytest.mark.parametrize(
    "password",
    [
        "lantern ferry gravel", "correct horse battery staple", "kJ7mQ2xWfR", "tr0ub4dor&3x", "нет ли тут лампы",
        "a gesture of seven lanterns", "vier kleine Lampen",
    ],
)  # fmt: skip
def test_what_is_hard_to_guess_is_taken_whatever_it_is_made_of(password: str) -> None:
    check_password(password, LOGIN)
    check_password(password)


def test_sentence_tells_why_and_what_helps() -> None:
    with pytest.raises(InvalidValueError) as caught:
        check_password("password12")
    assert str(caught.value) == (
        "password: choose one that is harder to guess. This is a very common password. "
        "Three or four words that have nothing to do with each other are easy to remember and hard to guess."
    )
    with pytest.raises(InvalidValueError, match="more than the login or this platform's name"):
        check_password("maria.schmidt1", LOGIN)


def test_no_text_takes_long_and_nothing_is_asked_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the check asks the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    chance = random.Random(5)
    symbols = "4@8({[<3691!|71|0$5+7%2"  # all that stand for a letter: the most ways to read them
    texts = ["".join(chance.choices(symbols, k=MAX_LENGTH)) for _ in range(3)]
    texts += ["a" * MAX_LENGTH, "ab" * (MAX_LENGTH // 2), "🜲" * MAX_LENGTH, "\x00" * 40, "\ud800" * 40]
    check_password("kJ7mQ2xWfRlmQ")  # the lists are read
    for text in texts:
        before = time.thread_time()
        try:
            check_password(text, LOGIN)
        except InvalidValueError as exc:
            assert "harder to guess" in str(exc)  # noqa: PT017
        assert time.thread_time() - before < 5


def test_only_the_beginning_is_looked_at_and_the_sentence_says_so() -> None:
    with pytest.raises(InvalidValueError, match="first 24 characters|Repeats"):
        check_password("ab" * (LOOKED_AT // 2) + "kJ7mQ2xWfRlmQ")


def test_generated_passwords_pass() -> None:
    for _ in range(200):
        check_password(passwords.generate_password(), "admin")


def test_password_from_before_still_logs_in() -> None:
    for old in ("password", "12345678", "admin"):
        stored = PasswordHasher().hash(old)
        assert passwords.verify_password(stored, old) == (True, None)
        weaker = PasswordHasher(time_cost=1, memory_cost=1024, parallelism=1).hash(old)
        right, renewed = passwords.verify_password(weaker, old)
        assert right
        assert renewed is not None, "its hash is renewed, and the password is not judged again"


def test_random_text_of_the_smallest_length_passes() -> None:
    chance = random.Random(7)
    for _ in range(50):
        check_password("".join(chance.choices(string.ascii_letters + string.digits, k=12)), LOGIN)

"""Browser sessions: a ticket works once and for a minute, a cookie for its time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sandbox.gate.console.sessions import SESSION_S, TICKET_S, Sessions


@dataclass
class Hand:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def sessions(hand):
    return Sessions(hand)


def test_a_ticket_opens_one_session(sessions):
    ticket = sessions.ticket("eng.li", ("ml_engineer",))
    cookie = sessions.enter(ticket)
    assert sessions.visitor(cookie).name == "eng.li" and sessions.visitor(cookie).roles == ("ml_engineer",)
    assert sessions.enter(ticket) is None


def test_a_ticket_lives_a_minute(sessions, hand):
    ticket = sessions.ticket("eng.li", ())
    hand.now += TICKET_S + 1
    assert sessions.enter(ticket) is None


def test_a_session_ends(sessions, hand):
    cookie = sessions.enter(sessions.ticket("eng.li", ()))
    hand.now += SESSION_S
    assert sessions.visitor(cookie)
    hand.now += 1
    assert sessions.visitor(cookie) is None


def test_a_guess_opens_nothing_and_a_cookie_is_no_ticket(sessions):
    cookie = sessions.enter(sessions.ticket("eng.li", ()))
    assert sessions.enter("guess") is None and sessions.visitor("guess") is None
    assert sessions.enter(cookie) is None


def test_words_are_kept_as_digests_only(sessions):
    ticket = sessions.ticket("eng.li", ())
    cookie = sessions.enter(sessions.ticket("eng.li", ()))
    assert ticket not in repr(vars(sessions)) and cookie not in repr(vars(sessions))


def test_what_is_over_is_forgotten(sessions, hand):
    sessions.ticket("eng.li", ())
    hand.now += TICKET_S + 1
    sessions.ticket("eng.li", ())
    assert len(sessions._tickets) == 1

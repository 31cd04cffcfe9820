"""Who does what cannot be taken back shows a fresh code; nobody guesses it, and a silent Vault holds up no kill."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx
import pytest

from sandbox.errors import CredentialError, IdentityInvalid, NotFound, NotPermitted, VaultUnreachable
from sandbox.service import Call, Caller, Route, application
from sandbox.service.idempotency import KeptAnswers
from sandbox.service.second_factor import TRIES, WINDOW_S, FreshCodes

GOOD = "123456"


@dataclass
class Codes:
    """One person, ``ann``, with one good code; or a Vault in trouble."""

    enrolled: set[str] = field(default_factory=lambda: {"ann"})
    used: set[str] = field(default_factory=set)
    fault: Exception | None = None
    hang: threading.Event | None = None
    asked: int = 0
    let_go: bool = False

    def has_factor(self, name: str) -> bool:
        self._trouble()
        return name in self.enrolled

    def code_fits(self, name: str, code: str) -> bool:
        self.asked += 1
        self._trouble()
        if name not in self.enrolled:
            raise NotFound("none", code="totp.not_enrolled")
        if code in self.used:
            raise CredentialError("used", code="totp.used")
        self.used |= {GOOD} & {code}
        return code == GOOD

    def _trouble(self) -> None:
        if self.hang is not None:
            self.hang.wait(30)
            self.let_go = True
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def codes() -> Codes:
    return Codes()


def fresh(codes: Codes, required: bool = True) -> FreshCodes:
    return FreshCodes(codes, lambda: required, monotonic=lambda: 0.0)


def refused(asker: FreshCodes, name: str, code: str, urgent: bool = False) -> str:
    with pytest.raises(NotPermitted) as caught:
        asker.prove(name, code, urgent)
    assert caught.value.mend
    return caught.value.code


URGENT = pytest.mark.parametrize("urgent", [False, True], ids=["erase", "kill"])


@URGENT
def test_a_good_code_is_good_once(codes: Codes, urgent: bool) -> None:
    asker = fresh(codes)
    asker.prove("ann", GOOD, urgent)
    assert refused(asker, "ann", GOOD, urgent) == "totp.used"


@URGENT
@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("", "totp.missing"),
        ("000000", "totp.wrong"),
        ("12345", "totp.wrong"),
        ("".join(chr(0x0660 + digit) for digit in range(1, 7)), "totp.wrong"),
        ("x" * 9999, "totp.wrong"),
    ],
    ids=["none", "another", "short", "other digits", "long"],
)  # fmt: skip
def test_anything_else_is_refused(codes: Codes, code: str, says: str, urgent: bool) -> None:
    assert refused(fresh(codes), "ann", code, urgent) == says


@URGENT
def test_where_it_is_required_nobody_goes_without(codes: Codes, urgent: bool) -> None:
    for code in ("", GOOD):
        assert refused(fresh(codes), "ben", code, urgent) == "totp.not_enrolled"


@URGENT
def test_where_it_is_asked_of_the_enrolled_only_the_others_go_without(codes: Codes, urgent: bool) -> None:
    asker = fresh(codes, required=False)
    for code in ("", GOOD):
        asker.prove("ben", code, urgent)
    assert refused(asker, "ann", "", urgent) == "totp.missing"


def test_guessing_ends_after_a_few_tries_whatever_comes_then(codes: Codes) -> None:
    now = [0.0]
    asker = FreshCodes(codes, lambda: True, monotonic=lambda: now[0])
    for number in range(TRIES):
        assert refused(asker, "ann", f"00000{number}") == "totp.wrong"
    assert refused(asker, "ann", GOOD) == "totp.locked"
    assert codes.asked == TRIES
    codes.enrolled.add("cat")
    asker.prove("cat", GOOD)  # nobody else is locked out
    codes.used.clear()
    now[0] = WINDOW_S
    asker.prove("ann", GOOD)


def test_many_guesses_at_once_are_counted_like_one_after_another(codes: Codes) -> None:
    codes.hang = threading.Event()
    asker, said = fresh(codes), []

    def guess(number: int) -> None:
        try:
            asker.prove("ann", f"{number:06}")
        except NotPermitted as fault:
            said.append(fault.code)

    guessers = [threading.Thread(target=guess, args=(number,)) for number in range(40)]
    for guesser in guessers:
        guesser.start()
    while len(said) < 40 - TRIES:  # all but the few that Vault was asked about are refused meanwhile
        assert any(guesser.is_alive() for guesser in guessers)
    codes.hang.set()
    for guesser in guessers:
        guesser.join(30)
    assert codes.asked == TRIES
    assert (said.count("totp.locked"), said.count("totp.wrong")) == (40 - TRIES, TRIES)


TROUBLE = [VaultUnreachable("silent"), CredentialError("dead", code="credential.dead"), RuntimeError("odd")]


@pytest.mark.parametrize("fault", TROUBLE, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("code", ["", GOOD], ids=["no code", "a code"])
def test_a_vault_that_says_nothing_holds_up_no_kill_and_lets_nothing_else_pass(
    codes: Codes, fault: Exception, code: str
) -> None:
    codes.fault = fault
    fresh(codes).prove("ann", code, urgent=True)
    with pytest.raises(type(fault)):
        fresh(codes).prove("ann", code)


def test_a_vault_that_hangs_holds_up_no_kill(codes: Codes) -> None:
    codes.hang = threading.Event()
    asker = FreshCodes(codes, lambda: True, patience_s=0.01)
    asker.prove("ann", GOOD, urgent=True)
    assert not codes.let_go  # it went on before Vault said anything
    codes.hang.set()


@pytest.fixture
def acts() -> list[str]:
    return []


@dataclass(frozen=True)
class Web:
    """The application, asked without a socket."""

    app: Any

    def post(self, path: str, headers: dict[str, str]) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                return await client.post(path, headers=headers)

        return anyio.run(ask)


@pytest.fixture
def web(codes: Codes, acts: list[str]) -> Web:
    def act(call: Call) -> dict[str, object]:
        acts.append(call.caller.name)
        return {"done": True}

    routes = [Route("POST", "/v1/erase", act, fresh=True), Route("POST", "/v1/ask", act)]
    return Web(application(routes, _somebody, KeptAnswers(":memory:"), prove=fresh(codes).prove))


def _somebody(bearer: str) -> Caller:
    if bearer != "ann":
        raise IdentityInvalid("nobody")
    return Caller(bearer, 2e9)


HEADERS = {"Authorization": "Bearer ann"}


def test_only_the_routes_that_cannot_be_taken_back_want_a_code(web: Web, acts: list[str]) -> None:
    assert web.post("/v1/ask", headers=HEADERS).status_code == 200
    answer = web.post("/v1/erase", headers=HEADERS)
    assert (answer.status_code, answer.json()["code"], acts) == (403, "totp.missing", ["ann"])
    assert web.post("/v1/erase", headers=HEADERS | {"Totp-Code": GOOD}).status_code == 200
    assert acts == ["ann", "ann"]


def test_a_code_proves_nothing_about_who_calls(web: Web, codes: Codes, acts: list[str]) -> None:
    assert web.post("/v1/erase", headers={"Totp-Code": GOOD}).status_code == 401
    assert (acts, codes.asked) == ([], 0)


def test_a_request_that_is_sent_again_needs_no_second_code_and_acts_once(web: Web, acts: list[str]) -> None:
    headers = HEADERS | {"Totp-Code": GOOD, "Idempotency-Key": "one"}
    for _ in range(2):
        assert web.post("/v1/erase", headers=headers).json() == {"done": True}
    assert acts == ["ann"]
    other = headers | {"Idempotency-Key": "two"}
    assert web.post("/v1/erase", headers=other).json()["code"] == "totp.used"


def test_a_refused_code_may_be_mended_under_the_same_key(web: Web, acts: list[str]) -> None:
    headers = HEADERS | {"Totp-Code": "000000", "Idempotency-Key": "one"}
    assert web.post("/v1/erase", headers=headers).status_code == 403
    assert web.post("/v1/erase", headers=headers | {"Totp-Code": GOOD}).status_code == 200
    assert acts == ["ann"]


def test_without_anybody_to_ask_nothing_passes(acts: list[str]) -> None:
    routes = [Route("POST", "/v1/erase", lambda call: {"done": True}, fresh=True)]
    answer = Web(application(routes, _somebody)).post("/v1/erase", headers=HEADERS | {"Totp-Code": GOOD})
    assert (answer.status_code, answer.json()["code"]) == (403, "totp.unchecked")

"""An enrolled person stops something: without a code refused, with one done, with the same code again refused."""

from __future__ import annotations

from sandbox.demo.house import code_now
from sandbox.demo.story import APPROVER, TRAINED, Stage
from tests.e2e.conftest import Stack

OPERATOR, PASSWORD = "op.totp", "a long enough one"


def test_a_kill_wants_a_fresh_code_of_who_enrolled_and_takes_each_once(stack: Stack, stage: Stage) -> None:
    stack.must(
        APPROVER, "people", "add", OPERATOR, "--party", "B", "--role", "operator", "--nda-until", "2029-01-10",
        "--training", "voice-data-security-2026", "--training-until", TRAINED, "--password-stdin",
        stdin=PASSWORD + "\n",
    )  # fmt: skip
    address = stack.house.enrol(OPERATOR, PASSWORD)
    del stack.house.apps[OPERATOR]  # the app is in our own hand here
    assert stack.must(OPERATOR, "whoami").last["second_factor"] == "enrolled"
    kill = ("incident", "kill", "--scope", "run:r-none2", "--totp-stdin")
    assert stack.ask(OPERATOR, *kill[:-1]).reasons() == ["totp.missing"]
    assert stack.ask(OPERATOR, *kill, stdin="000000\n").reasons() == ["totp.wrong"]
    code = code_now(address, 30)  # the first one confirmed the enrolment; its neighbour counts too
    first = stack.ask(OPERATOR, *kill, stdin=code + "\n")
    assert not [code for code in first.reasons() if code.startswith("totp.")]
    assert stack.ask(OPERATOR, *kill, stdin=code + "\n").reasons() == ["totp.used"]
    stack.must(OPERATOR, "logout")
    again = stack.ask(OPERATOR, "login", OPERATOR, "--password-stdin", stdin=PASSWORD + "\n")
    assert again.reasons() == ["totp.missing"]
    stack.must(APPROVER, "people", "reset-factor", OPERATOR)
    stack.must(OPERATOR, "login", OPERATOR, "--password-stdin", stdin=PASSWORD + "\n")

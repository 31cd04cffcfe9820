"""What a failed request to an object store means, and how often it is made again.

A fault that time may mend (no connection, an answer that stays out or ends early, 5xx, "slow down") is tried again
after a growing, random wait, up to a number of attempts; then there is one error that names the object and the fault.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from sandbox.errors import SandboxError, Unreachable

T = TypeVar("T")
FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0


class Fault(Enum):
    """What a store said. All but the last are answers: asking again gets the same."""

    MISSING = "there is no such object"
    TAKEN = "there is one already"
    RANGE = "it ends before that"
    NO_BUCKET = "there is no such bucket"
    REFUSED = "the key is unknown, wrong or not allowed to"
    MISUNDERSTOOD = "the request was not understood"
    PASSING = "no answer"


_CODES = {
    **dict.fromkeys(("404", "NoSuchKey"), Fault.MISSING),
    **dict.fromkeys(("412", "PreconditionFailed"), Fault.TAKEN),
    **dict.fromkeys(("416", "InvalidRange"), Fault.RANGE),
    "NoSuchBucket": Fault.NO_BUCKET,
    **dict.fromkeys(
        ("401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken",
         "AllAccessDisabled", "AccountProblem", "InvalidObjectState", "InvalidToken", "RequestTimeTooSkewed"),
        Fault.REFUSED,
    ),
}  # fmt: skip
#: Answers with a 4xx status that time may mend all the same (409: another writer of the same name is at work).
_PASSING = {408, 409, 429}


def fault_of(error: BaseException) -> tuple[Fault, str]:
    """What ``error`` (of botocore, aiohttp or s3fs) means, and a word for people: a code or class, never a text.

    Texts quote addresses and requests; s3fs keeps the store's own answer as the cause.
    """
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    if not isinstance(answer, dict):
        kind = Fault.MISSING if isinstance(error, FileNotFoundError) else Fault.PASSING
        return kind, type(error).__name__
    code = str(answer.get("Error", {}).get("Code", ""))
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if not re.fullmatch(r"[A-Za-z0-9]{1,64}", code):
        code = ""  # a text of the store's choosing is not shown
    if code in _CODES:
        return _CODES[code], code
    if isinstance(status, int) and 400 <= status < 500 and status not in _PASSING and code != "SlowDown":
        return Fault.MISUNDERSTOOD, code or str(status)
    return Fault.PASSING, code or str(status)


class Answered(Exception):
    """The store said no; who asked knows what that means."""

    def __init__(self, fault: Fault, word: str) -> None:
        super().__init__(fault.value)
        self.fault, self.word = fault, word


@dataclass(frozen=True)
class Patience:
    """How often, and how long between two attempts."""

    attempts: int = 6
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random  # in [0, 1): who failed together does not return together

    def ask(self, what: str, request: Callable[[], T]) -> T:
        """``request``'s result.

        Raises:
            Answered: the store said no.
            Unreachable: no attempt was answered.
        """
        word = ""
        for attempt in range(1, self.attempts + 1):
            try:
                return request()
            except SandboxError:
                raise
            except Exception as error:  # noqa: BLE001 - four libraries below, with no class in common
                fault, word = fault_of(error)
            if fault is not Fault.PASSING:
                raise Answered(fault, word)
            if attempt < self.attempts:
                self.sleep(min(FIRST_WAIT_S * 2 ** (attempt - 1), LONGEST_WAIT_S) * (0.5 + self.draw() / 2))
        raise Unreachable(
            f"the object store does not answer for {what}: {word}, {self.attempts} times",
            code="storage.unreachable",
            mend="see that it runs and can be reached from here, then try again",
        )

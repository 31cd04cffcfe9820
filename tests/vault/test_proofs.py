"""What the gate takes for the proof that a credential is dead; without a server, for the moment in between is short."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.errors import CredentialError
from sandbox.vault import minting
from sandbox.vault.minting import Minting
from tests.fakes.vault import DENIED, refuse


class Says:
    """A Vault that answers lookups one after the other, the last one again and again."""

    def __init__(self, *answers: Exception | None) -> None:
        self.answers, self.asked = list(answers), 0

    def write(self, path: str, body: Any = None) -> dict[str, Any]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if answer is not None:
            raise answer
        return {"data": body}


GONE, REFUSED, DEAD_HAND = (refuse(403, said) for said in ("invalid accessor", DENIED, "permission denied"))


def test_a_lookup_that_is_refused_while_vault_takes_the_token_away_is_made_again() -> None:
    vault = Says(REFUSED, REFUSED, GONE)
    assert Minting(vault).is_dead("a") and vault.asked == 3  # type: ignore[arg-type]
    assert not Minting(Says(REFUSED, None)).is_dead("a")  # type: ignore[arg-type]


def test_a_refusal_that_lasts_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minting, "LEAVING_S", 0.05)
    with pytest.raises(CredentialError) as caught:
        Minting(Says(REFUSED)).is_dead("a")  # type: ignore[arg-type]
    assert caught.value.code == "credential.denied"


def test_a_hand_that_is_dead_itself_is_told_at_once() -> None:
    vault = Says(DEAD_HAND)
    with pytest.raises(CredentialError) as caught:
        Minting(vault).is_dead("a")  # type: ignore[arg-type]
    assert caught.value.code == "credential.dead" and vault.asked == 1

"""No transaction waits for another service: while Vault, MLflow or the engine hangs, a kill stands at once."""

from __future__ import annotations

import time

import pytest

from sandbox.errors import VaultUnreachable
from sandbox.gate.ledger.invariants import broken
from sandbox.gate.routes import api
from sandbox.gate.runs import chronicle
from sandbox.runs import RunState
from sandbox.vault.minting import Minting
from tests.fakes.keeper import Keeper, begin
from tests.gate import scripts
from tests.gate.world import OPERATOR, admit, ended, reaches, request, row

AT_ONCE_S = 20.0  # a transaction takes milliseconds; the hanging call would take 60 s

HANGS = {
    "Vault, minting": ("vault", "mint_run"),
    "Vault, wrapping": ("vault", "new_artifact_key"),
    "Vault, proving": ("vault", "is_dead"),
    "Vault, signing": ("vault", "signer"),
    "MLflow, opening": ("tracking", "open_run"),
    "MLflow, hearing metrics": ("tracking", "log_metrics"),
    "the engine, starting": ("launcher", "start"),
    "the engine, killing": ("launcher", "kill"),
}


@pytest.mark.parametrize(("hand", "call"), HANGS.values(), ids=HANGS)
def test_a_kill_stands_at_once_whatever_hangs(world, hand, call):
    world.script = scripts.chats
    world.hangs = {hand: (call,)}
    gate = world.gate()
    run = admit(gate)
    gate.supervision.begin(run)
    if call == "kill":
        reaches(gate, run, RunState.TRAINING)
    else:
        assert world.hanging[hand].hanging.wait(60)
    began = time.monotonic()
    assert api.kill(gate, run, OPERATOR, "asked") == {"killed": True}
    other = gate.admission.ask(request(), "eng.li", only_decide=True)
    assert time.monotonic() - began < AT_ONCE_S
    assert row(gate, run).kill == "asked" and other.decision
    world.hanging[hand].release()
    found = ended(gate, run)
    assert found.outcome == "killed" and not world.engine.list()
    assert broken(gate.house) == []


def test_a_view_that_hangs_holds_no_run_up(world):
    def ends_while_it_hangs(keeper: Keeper) -> None:
        begin(keeper)
        keeper.metric(1)
        assert world.hanging["tracking"].hanging.wait(60)
        keeper.finish()

    world.script = ends_while_it_hangs
    world.hangs = {"tracking": ("log_metrics",)}
    gate = world.gate()
    run = admit(gate)
    gate.supervision.begin(run)
    reaches(gate, run, RunState.ENDED)
    world.hanging["tracking"].release()
    assert ended(gate, run).outcome == "finished"


def test_no_credential_outlives_a_kill_while_vault_hung(world):
    """Minted while the kill already stood: remembered, revoked, proved dead."""
    world.hangs = {"vault": ("new_artifact_key",)}
    gate = world.gate()
    run = admit(gate)
    gate.supervision.begin(run)
    assert world.hanging["vault"].hanging.wait(60)
    api.kill(gate, run, OPERATOR, "asked")
    world.hanging["vault"].release()
    assert ended(gate, run).outcome == "killed"
    kept = gate.house.store.read(lambda c: chronicle.accessors(c, run))
    assert len(kept) == 4 and all(gate.house.vault.is_dead(accessor) for accessor in kept)
    assert world.engine.started == []


@pytest.mark.parametrize("call", ["mint_run", "new_artifact_key"])
def test_nothing_is_settled_while_a_credential_whose_answer_was_lost_may_live(world, monkeypatch, call):
    """Vault made it, the answer never came: nobody knows its accessor, so nobody can revoke it."""
    effect = getattr(Minting, call)

    def lost(*given, **named):
        effect(*given, **named)
        raise VaultUnreachable("Vault does not answer")

    monkeypatch.setattr(Minting, call, lost)
    gate = world.gate()
    run = admit(gate)
    gate.supervision.begin(run)
    assert not gate.supervision.join(run, 0.5) and row(gate, run).state == RunState.PREPARED
    world.pass_time(seconds=2 * world.settings.credential_ttl_s + 4)
    found = ended(gate, run)
    assert (found.outcome, found.failure) == ("failed", "vault.unreachable")
    assert not any(
        token.policies[0].startswith("run-") and world.vault.live(name)
        for name, token in world.vault.tokens.items()
    )
    assert broken(gate.house) == []

"""While the gate's note lies there, its start is handed no login, and an old one is taken away."""

from __future__ import annotations

from sandbox.deployment import programs, vault_login
from sandbox.deployment.places import Places
from sandbox.gate import places as gate_places


def test_the_note_is_looked_for_where_the_gate_leaves_it(tmp_path):
    assert Places(tmp_path).gate_private / vault_login.HELD == gate_places.Places(tmp_path).held


def test_a_gate_that_is_held_gets_no_login(tmp_path, monkeypatch):
    places, handed = Places(tmp_path), []
    monkeypatch.setattr(programs, "_hand_over", lambda *given: handed.append(given[3]))
    places.gate_private.mkdir(parents=True)
    accounts = type("Accounts", (), {"gate": None})()
    programs._hand_over_unless_held(places, accounts, None)
    assert handed == ["gate"]
    places.wrap("gate").parent.mkdir(parents=True, exist_ok=True)
    places.wrap("gate").write_text("{}")
    (places.gate_private / vault_login.HELD).symlink_to("nowhere")  # whatever it is, it holds
    programs._hand_over_unless_held(places, accounts, None)
    assert handed == ["gate"] and not places.wrap("gate").exists()

"""Registers: a chain that the gate's reader accepts, all or nothing, whole after a crash at any effect."""

import json

import pytest

from sandbox.custodian import registers as registers_
from sandbox.custodian.consent import import_consents
from sandbox.errors import Conflict, RollbackDetected, StatementError, Usage
from sandbox.policy.registers import RegisterHead, read_chain
from tests.fakes.custody import FakeCustody
from tests.fakes.studio import STEWARD, consent, make_desk


def chain(desk, name):
    """As the gate reads it: files and head, nothing of ours in memory."""
    folder = desk.agreements.parent / "registers" / name
    files = [(int(path.name.partition(".")[0]), path.read_bytes()) for path in folder.glob("*.json")]
    return read_chain(name, files, RegisterHead.of(desk.vault.register_heads().value, name), desk.trusted())


def test_the_gate_reads_what_the_custodian_wrote(desk):
    import_consents(desk, STEWARD, [consent("spk_anna"), consent("spk_ben0")])
    read = chain(desk, "consent")
    assert [(posting.seq, posting.by) for posting in read] == [(1, STEWARD), (2, STEWARD)]
    assert read == tuple(desk.registers.entries("consent"))


def test_files_are_for_the_gates_group_and_nobody_else(desk):
    path = desk.agreements.parent / "registers" / "status" / "1.dsse.json"
    assert path.stat().st_mode & 0o777 == 0o640
    assert next(desk.agreements.glob("*.yaml")).stat().st_mode & 0o777 == 0o640


def test_a_batch_goes_in_whole_or_not_at_all(desk):
    with pytest.raises(Usage):
        import_consents(desk, STEWARD, [consent("spk_anna"), consent("Anna")])
    assert chain(desk, "consent") == ()


class Crash(BaseException):
    pass


def test_a_crash_at_any_effect_leaves_the_register_whole(tmp_path):
    for moment in range(1, 20):
        desk = make_desk(tmp_path / str(moment), FakeCustody())
        desk.registers.append("erasure", [entry(0)], STEWARD)
        left = [moment]

        def counted(effect, left=left):
            def step(*arguments):
                left[0] -= 1
                if left[0] == 0:
                    raise Crash
                return effect(*arguments)

            return step

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(registers_, "write_file", counted(registers_.write_file))
            patch.setattr(desk.vault, "set_register_heads", counted(desk.vault.set_register_heads))
            try:
                desk.registers.append("erasure", [entry(1), entry(2)], STEWARD)
            except Crash:
                assert len(chain(desk, "erasure")) == 1
        again = make_desk(tmp_path / str(moment), desk.vault, desk.signer, desk.trusted())
        again.registers.append("erasure", [entry(3)], STEWARD)
        assert chain(again, "erasure")[-1].entry.subject == "spk_s3"
        if left[0] > 0:
            return
    raise AssertionError("never came to an end")


def entry(number):
    return {"subject": f"spk_s{number}", "dataset": "digits", "status": "asked"}


def test_a_lost_answer_of_the_head_keeps_the_entry(desk, monkeypatch):
    """Vault moved the head, but its answer was lost: the entry stands, and the next one follows it."""
    move = desk.vault.set_register_heads

    def lost(value, cas):
        move(value, cas)
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(desk.vault, "set_register_heads", lost)
        with pytest.raises(ConnectionError):
            desk.registers.append("erasure", [entry(1)], STEWARD)
    desk.registers.append("erasure", [entry(2)], STEWARD)
    assert [posting.entry.subject for posting in chain(desk, "erasure")] == ["spk_s1", "spk_s2"]


def test_two_custodians_meet_at_the_head(desk, tmp_path, monkeypatch):
    other = make_desk(tmp_path, desk.vault, desk.signer, desk.trusted())
    write = registers_.write_file

    def slow(path, data, *mode):
        monkeypatch.setattr(registers_, "write_file", write)
        other.registers.append("erasure", [entry(1)], STEWARD)
        write(path, data, *mode)

    monkeypatch.setattr(registers_, "write_file", slow)
    with pytest.raises(Conflict):
        desk.registers.append("erasure", [entry(2)], STEWARD)


DAMAGE = {
    "missing": (lambda path: path.unlink(), RollbackDetected),
    "a bit": (lambda path: path.write_bytes(path.read_bytes().replace(b"sig", b"sih", 1)), StatementError),
    "another's": (
        lambda path: path.write_bytes((path.parent.parent / "people/1.dsse.json").read_bytes()),
        StatementError,
    ),
}


@pytest.mark.parametrize(("damage", "error"), DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_refused_at_the_next_start(desk, tmp_path, damage, error):
    damage(tmp_path / "registers" / "status" / "1.dsse.json")
    again = make_desk(tmp_path, desk.vault, desk.signer, desk.trusted())
    with pytest.raises(error):
        again.now("status")


def test_an_old_set_of_files_is_refused(desk, tmp_path):
    import_consents(desk, STEWARD, [consent()])
    heads = desk.vault.register_heads()
    older = heads.value | {"consent": {"seq": 1, "digest": "0" * 64}}
    desk.vault.heads["registers"] = heads._replace(value=older)
    again = make_desk(tmp_path, desk.vault, desk.signer, desk.trusted())
    with pytest.raises(StatementError):
        again.now("consent")


def test_no_register_file_holds_a_password(desk, tmp_path):
    for path in (tmp_path / "registers").rglob("*.json"):
        assert desk.vault.people[STEWARD].encode() not in path.read_bytes()
        assert json.loads(path.read_bytes())["payloadType"] == "application/vnd.in-toto+json"

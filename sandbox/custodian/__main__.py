"""``python -m sandbox.custodian --state S``: log in with the wrapped credential, mend, serve ``custodian/api.sock``."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from sandbox.custodian.api import routes
from sandbox.custodian.desk import Desk
from sandbox.custodian.expiry import Clockwork, keep_time
from sandbox.custodian.files import PRIVATE, write_file
from sandbox.custodian.people import first_person
from sandbox.custodian.registers import Registers
from sandbox.custodian.restored import bring_up_to_date
from sandbox.custodian.storage import chosen_root
from sandbox.custodian.upkeep import mend, upkeep
from sandbox.custodian.vitals import Vitals
from sandbox.errors import SandboxError, Unreachable
from sandbox.memory import become_undumpable, keep_out_of_swap
from sandbox.policy.backup import snapshot_days
from sandbox.policy.second_factor import totp_required
from sandbox.policy.serving import serving
from sandbox.service import application, journal, serve
from sandbox.service.idempotency import KeptAnswers
from sandbox.service.identity import IdentityVerifier
from sandbox.service.lease import LOGIN_ENDS, Lease
from sandbox.service.limits import Limits
from sandbox.service.second_factor import FreshCodes
from sandbox.storage.root import Root
from sandbox.vault.custody import Custody

FIRST_PERSON = "a.approver.1"


def main() -> int:
    parser = argparse.ArgumentParser(prog="sandbox.custodian")
    parser.add_argument("--state", type=Path, required=True)
    state: Path = parser.parse_args().state
    journal.configure("custodian")
    keep_out_of_swap()
    become_undumpable()  # it opens recordings: no other program of its user may look
    try:
        return _serve(state)
    except SandboxError as fault:
        journal.trouble("custodian.stopped", fault)
        return fault.exit_code


def _serve(state: Path) -> int:
    home, private = state / "custodian", state / "custodian" / "private"
    public = _public(state)
    custody = Custody.login(public["vault_addr"], state / "app" / "ca.pem", private / "login.wrap")
    desk = _desk(home, custody, chosen_root(state))
    stop, lost = threading.Event(), threading.Event()

    def end() -> None:
        lost.set()
        os.kill(os.getpid(), signal.SIGTERM)

    def keep(password: str) -> None:
        login = {"name": FIRST_PERSON, "password": password}
        write_file(private / "first-login.json", json.dumps(login).encode() + b"\n", PRIVATE)

    if first_person(desk, FIRST_PERSON, keep):
        journal.say("person.first", person=FIRST_PERSON)
    bring_up_to_date(desk, private / "restored.json")
    mend(desk)
    vitals = Vitals(lease=Lease(custody.renew, note=private / LOGIN_ENDS))
    told = serving(state / "app" / "configs" / "gate.yaml", "custodian")
    threading.Thread(target=upkeep, args=(desk, vitals.lease, stop, end), name="upkeep", daemon=True).start()
    threading.Thread(target=keep_time, args=(Clockwork(desk).look, stop), name="clock", daemon=True).start()
    verifier = IdentityVerifier(custody.jwks, public["oidc_issuer"], public["oidc_client_id"])
    codes = FreshCodes(custody, lambda: totp_required(state / "app" / "configs" / "gate.yaml"))
    app = application(
        routes(desk, vitals),
        verifier.verify,
        KeptAnswers(private / "answers.db"),
        limits=Limits(told.requests_per_minute),
        meter=vitals.meter,
        prove=codes.prove,
    )
    try:
        serve.run(app, home / "api.sock", tls=told.tls, started=lambda: journal.say("custodian.ready"))
    finally:
        stop.set()
    return 1 if lost.is_set() else 0


def _desk(home: Path, custody: Custody, elsewhere: Root | None) -> Desk:
    trusted = custody.public_keys("custodian")
    signer = custody.signer()

    def clock() -> datetime:
        return datetime.now(UTC)

    registers = Registers(home / "registers", custody, signer, lambda: trusted, clock)
    return Desk(
        home / "sealed",
        home / "agreements",
        custody,
        registers,
        signer,
        lambda: trusted,
        clock,
        elsewhere=elsewhere,
        gate_keys=lambda: custody.public_keys("gate"),
        snapshot_days=snapshot_days(home.parent / "app" / "configs" / "backup.yaml"),
    )


def _public(state: Path) -> dict[str, str]:
    try:
        found = json.loads((state / "app" / "public.json").read_bytes())
        return {name: str(found[name]) for name in ("vault_addr", "oidc_issuer", "oidc_client_id")}
    except (OSError, ValueError, KeyError):
        raise Unreachable("app/public.json is missing or incomplete", mend="start it by sandbox up") from None


if __name__ == "__main__":
    sys.exit(main())

"""``python -m sandbox.gate --state S``: log in, converge what a dead gate left, serve ``gate/api.sock`` and the pages.

1. Log in with the wrapped credential; only one gate lives on a state directory (a lock file). While everything is
   stopped there is no login: it serves reads, incidents and their resumption (:mod:`sandbox.gate.incidents.held`).
2. The database must not be older than the mark in Vault, unless a restore was meant.
3. Every run that is not final is taken in hand. 4. Serve.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from sandbox.errors import Conflict, SandboxError
from sandbox.gate.alarms.delivery import keep_telling
from sandbox.gate.alarms.detection import watch
from sandbox.gate.console.pages import pages
from sandbox.gate.console.sessions import Sessions
from sandbox.gate.database.store import Store
from sandbox.gate.deciding.clock import Steady
from sandbox.gate.gate import Gate, build
from sandbox.gate.incidents.catching_up import keep_trying
from sandbox.gate.incidents.held import begin, kept_jwks, trusted, unless_held
from sandbox.gate.incidents.notices import keep_drafting
from sandbox.gate.ledger import mark
from sandbox.gate.places import Places
from sandbox.gate.routes.api import routes
from sandbox.gate.routes.standing import roles_known
from sandbox.gate.routes.vitals import Vitals
from sandbox.gate.sealed import chosen
from sandbox.gate.settings import database, load
from sandbox.gate.upkeep import keep_tidy, upkeep
from sandbox.isolation.launcher_client import Launcher
from sandbox.policy.serving import serving
from sandbox.service import application, journal, serve
from sandbox.service.idempotency import KeptAnswers
from sandbox.service.identity import IdentityVerifier
from sandbox.service.lease import LOGIN_ENDS, Lease
from sandbox.service.limits import Limits
from sandbox.service.second_factor import FreshCodes
from sandbox.statements import PublicKey
from sandbox.storage.settings import load as load_storage
from sandbox.tracking.view import Tracking
from sandbox.vault.minting import Minting


def main() -> int:
    parser = argparse.ArgumentParser(prog="sandbox.gate")
    parser.add_argument("--state", type=Path, required=True)
    places = Places(parser.parse_args().state)
    journal.configure("gate")
    try:
        with open(places.private / "gate.lock", "a") as lock:
            _alone(lock)
            return _serve(places)
    except SandboxError as fault:
        journal.trouble("gate.stopped", fault)
        return fault.exit_code


def _alone(lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Conflict("another gate lives on this state directory", code="gate.twice") from None


def _serve(places: Places) -> int:
    settings = load(places)
    addr, ca, noted = settings.vault_addr, places.app / "ca.pem", places.held.exists()
    vault = Minting.without_login(addr, ca) if noted else Minting.login(addr, ca, places.login)  # 1
    trust = trusted(places) if noted else _published(vault)
    tracking = _tracking(places)
    warming = threading.Thread(target=_warm, args=(tracking,), name="warm", daemon=True)
    first = tracking.uri == _embedded(places) and not _database(places).exists()
    warming.start()
    if first:
        warming.join()  # MLflow's pages start once we answer, and two that make the same tables meet
    storage = load_storage(places.app)
    gate = build(
        places,
        vault=vault,
        launcher=Launcher(places.launcher_socket),
        tracking=tracking,
        settings=lambda: load(places),
        trust=trust,
        clock=Steady(),
        store=Store(database(places)),
        sealed=lambda store: chosen(storage, places, store, vault, trust),
    )
    begin(gate.house)
    if not gate.house.login.held:
        mark.accept_restored(gate.house)
        mark.check_mark(gate.house)  # 2
    return _listen(gate, vault, places)


def _listen(gate: Gate, vault: Minting, places: Places) -> int:
    settings, vitals = gate.house.settings(), Vitals(lease=Lease(vault.renew, note=places.private / LOGIN_ENDS))
    sessions = Sessions(standing=lambda name: roles_known(gate.registers, name))
    told = serving(places.app / "configs" / "gate.yaml", "gate")
    stop, lost = threading.Event(), threading.Event()

    def end() -> None:
        lost.set()
        os.kill(os.getpid(), signal.SIGTERM)

    def started() -> None:
        found = gate.supervision.converge()  # 3
        journal.say("gate.ready", live=len(found))

    threading.Thread(target=upkeep, args=(gate, vitals.lease, stop, end), name="upkeep", daemon=True).start()
    for kept in (gate.house.sealed, gate.house.bases):
        threading.Thread(target=keep_tidy, args=(kept, stop), name="tidy", daemon=True).start()
    threading.Thread(target=watch, args=(gate.detection, stop), name="detection", daemon=True).start()
    threading.Thread(target=keep_drafting, args=(gate.house, stop), name="notices", daemon=True).start()
    threading.Thread(target=keep_telling, args=(gate.house, stop), name="alerts", daemon=True).start()
    house = gate.house
    threading.Thread(target=keep_trying, args=(house, stop), name="duties", daemon=True).start()
    jwks = kept_jwks(house, vault.jwks, places.private / "jwks.json")
    verifier = IdentityVerifier(jwks, settings.oidc_issuer, settings.oidc_client_id)
    # a run knows its own key (``runs.asked_with``), and whatever else is asked of the gate may be asked twice
    answers = KeptAnswers(places.private / "answers.db", synced=False)
    codes = FreshCodes(vault, lambda: gate.house.settings().totp_required)
    app = application(
        routes(gate, sessions, vitals),
        verifier.verify,
        answers,
        limits=Limits(told.requests_per_minute),
        meter=vitals.meter,
        prove=unless_held(house, codes.prove),
    )
    try:
        serve.run(  # 4
            app,
            places.api_socket,
            web=serve.Web(pages(gate, sessions), settings.web_port),
            tls=told.tls,
            started=started,
        )
    finally:
        stop.set()
        gate.supervision.close()
    return 1 if lost.is_set() else 0


def _published(vault: Minting) -> Callable[[str], Sequence[PublicKey]]:
    """Every version of both signing keys, as Vault has them."""
    keys = {hand: vault.public_keys(hand) for hand in ("gate", "custodian")}
    return lambda hand: keys[hand]


def _warm(tracking: Tracking) -> None:
    """MLflow takes seconds to import: now, and not while the first run waits for it."""
    with suppress(SandboxError):
        _ = tracking.client


def _tracking(places: Places) -> Tracking:
    """MLflow at ``MLFLOW_TRACKING_URI``; embedded, by its own database beside the server's socket."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or _embedded(places)
    return Tracking(uri, str(places.state / "mlflow" / "artifacts"))


def _embedded(places: Places) -> str:
    return f"sqlite:///{_database(places)}"


def _database(places: Places) -> Path:
    return places.state / "mlflow" / "mlflow.db"


if __name__ == "__main__":
    sys.exit(main())

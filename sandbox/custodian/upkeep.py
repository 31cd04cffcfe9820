"""What the custodian does by itself: renew its credential, and let consents that ran out take effect."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sandbox.custodian.desk import Desk
from sandbox.custodian.intake import mend_intake
from sandbox.custodian.seal import settle
from sandbox.errors import CredentialError, NotFound, SandboxError, Unreachable
from sandbox.service import journal

REFRESH_S = 600.0
RETRY_S = 10.0
CUSTODIAN = "custodian"


def mend(desk: Desk) -> None:
    """At a start: finish what a crash left between a moved head and its register entry."""
    _settle_all(desk)
    try:
        mend_intake(desk)
    except SandboxError as fault:
        journal.trouble("intake.unmended", fault)


def _sealed_here(desk: Desk) -> list[str]:
    try:
        return desk.root.datasets()
    except Unreachable as fault:  # consents and bars do not wait for an object store
        journal.trouble("datasets.unseen", fault)
        return []


def upkeep(desk: Desk, renew: Callable[[], int], stop: threading.Event, lost: Callable[[], None]) -> None:
    """Until ``stop``: renew at a third of the lease, settle every dataset and its run policies every ten minutes.

    ``lost`` is called when the credential is dead: the service must end and be started with a fresh one.
    """
    wait, since = 0.0, 0.0
    while not stop.wait(wait):
        try:
            wait = max(1.0, min(renew() / 3, REFRESH_S))
            since += wait
            if since >= REFRESH_S:
                since = 0.0
                _settle_all(desk)
        except CredentialError as fault:
            journal.trouble("credential.lost", fault)
            lost()
            return
        except Exception as fault:  # noqa: BLE001 - whatever it was, the credential is renewed next time
            journal.trouble("upkeep.failed", fault)
            wait = RETRY_S


def _settle_all(desk: Desk) -> None:
    """Every dataset's newest version in the register, its policies written; a fault of one keeps no other from its own.

    A version whose head moved though Vault's answer was lost is entered here, at the latest after ten minutes.
    """
    for dataset in sorted({*_sealed_here(desk), *desk.datasets()}):
        try:
            settle(desk, dataset, CUSTODIAN)
        except CredentialError:
            raise
        except NotFound:
            continue  # a first sealing that never finished: ciphertext without a head
        except SandboxError as fault:
            journal.trouble("dataset.unsettled", fault, dataset=dataset)

"""What the custodian does by itself: renew its credential, and let consents that ran out take effect."""

from __future__ import annotations

import threading
from collections.abc import Callable

from sandbox.custodian.bar import refresh_policies
from sandbox.custodian.desk import Desk
from sandbox.custodian.intake import mend_intake
from sandbox.custodian.seal import settle
from sandbox.errors import CredentialError, NotFound, SandboxError, Unreachable
from sandbox.service import journal

REFRESH_S = 600.0
RETRY_S = 10.0


def mend(desk: Desk) -> None:
    """At a start: finish what a crash left between a moved head and its register entry."""
    for dataset in _sealed_here(desk):
        try:
            settle(desk, dataset, "custodian")
        except NotFound:
            continue  # a first sealing that never finished: ciphertext without a head
        except SandboxError as fault:
            journal.trouble("dataset.unsettled", fault, dataset=dataset)
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
    """Until ``stop``: renew at a third of the lease, rewrite run policies every ten minutes.

    ``lost`` is called when the credential is dead: the service must end and be started with a fresh one.
    """
    wait, since = 0.0, 0.0
    while not stop.wait(wait):
        try:
            wait = max(1.0, min(renew() / 3, REFRESH_S))
            since += wait
            if since >= REFRESH_S:
                since = 0.0
                _refresh(desk)
        except CredentialError as fault:
            journal.trouble("credential.lost", fault)
            lost()
            return
        except Exception as fault:  # noqa: BLE001 - whatever it was, the credential is renewed next time
            journal.trouble("upkeep.failed", fault)
            wait = RETRY_S


def _refresh(desk: Desk) -> None:
    """Every dataset's policies; one that cannot be read keeps no other from its own."""
    for dataset in desk.datasets():
        try:
            refresh_policies(desk, dataset)
        except CredentialError:
            raise
        except SandboxError as fault:
            journal.trouble("policies.unturned", fault, dataset=dataset)

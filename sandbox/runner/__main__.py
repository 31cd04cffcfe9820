"""The keeper's story, from the order's first byte to the last frame.

1. On the order's first byte: undumpable, and the trainer's core dumps empty, before anything secret is read.
2. The trainer is started by ``exec``; no key exists yet. It imports torch while the keeper unlocks.
3. The order is checked against the trust anchors in the image; the recipe's bytes against the grant.
4. Keys are unwrapped through the Vault door, and the credential revokes itself.
5. ``unlocked`` goes to the gate, which proves the credential dead, closes the Vault door and answers ``go``.
6. Only now may the trainer import the recipe. Keeper and trainer converse until it ends.
7. Everything sent is stored by the gate, ``done`` is said, and the container is gone.

SIGTERM, the word of a machine that is wanted for something else, is a stop: the recipe ends with a checkpoint.

The exit code is an output too: 0 or 1. Nothing is printed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.memory import become_undumpable, empty_core_dumps
from sandbox.runner.confine import start_trainer
from sandbox.runner.door import Door
from sandbox.runner.grant import check_order, check_recipe
from sandbox.runner.keeping import Keeping, safe_code
from sandbox.runner.pipe import Pipe
from sandbox.runner.unlock import unlock
from sandbox.runs import DOORS, EVENTS_SOCKET, RECIPE, TRUST, Order, Trust
from sandbox.sealing.allocator import keep_memory

GO_S = 60
FLUSH_S = 90
PREEMPTED = "pre-empted"


def main() -> int:
    first = sys.stdin.buffer.read(1)
    if not first:
        return 1
    empty_core_dumps()  # 1
    become_undumpable()
    keep_memory()
    trainer, ours = start_trainer()  # 2
    door: Door | None = None
    try:
        order = Order.from_bytes(first + sys.stdin.buffer.read())
        trust = Trust.from_bytes(Path(TRUST).read_bytes())
        grant, digest = check_order(order, trust, datetime.now(UTC))  # 3
        door = Door(f"{DOORS}/{EVENTS_SOCKET}", grant.run, digest)
        door.open()
        _end_in_order_on_sigterm(door)
        pipe = Pipe(ours)
        pipe.send("prepare", torch=grant.engine == "torch", threads=len(os.sched_getaffinity(0)))
        check_recipe(grant, RECIPE)
        started = time.monotonic()
        unlocked = unlock(grant, order, trust)  # 4
        del order
        door.send("unlocked", subjects=unlocked.subjects, seconds=time.monotonic() - started)  # 5
        door.wait_for_go(GO_S)
        keeping = Keeping(grant, unlocked, door, pipe)  # 6
        keeping.begin()
        keeping.converse()
        door.send("end")  # 7
        door.send("done")
        door.flush(FLUSH_S)
        return 0
    except SandboxError as fault:
        return _failed(door, fault.code)
    except Exception:  # noqa: BLE001 - a foreign exception may quote a secret; its class is not worth the risk
        return _failed(door, "keeper.failed")
    finally:
        _end(trainer)
        if door is not None:
            door.close()


def _end_in_order_on_sigterm(door: Door) -> None:
    """Without a handler the first process of a container would not hear it at all."""
    signal.signal(signal.SIGTERM, lambda _signal, _frame: door.stop(PREEMPTED))


def _failed(door: Door | None, code: str) -> int:
    """Say why, in one word, if there is somebody to hear it."""
    if door is not None:
        try:
            door.send("failed", code=safe_code(code))
            door.send("done")
            door.flush(FLUSH_S)
        except SandboxError:
            pass
    return 1


def _end(trainer: subprocess.Popen[bytes]) -> None:
    trainer.kill()
    trainer.wait()


if __name__ == "__main__":
    sys.exit(main())

"""The wall between keeper and trainer, raised before there is anything to hide.

The trainer shares the keeper's uid, cgroup and mounts. What keeps them apart: the keeper is undumpable (its
``/proc`` entries belong to root, ptrace is refused), seccomp knows no ptrace or process_vm call, and the trainer is
started by ``exec`` with one end of a socket pair as its only descriptor.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys

_TRAINER_ENVIRONMENT = ("PATH", "HOME", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE", "NUMBA_CACHE_DIR",
                        "MPLCONFIGDIR", "LANG")  # fmt: skip


def start_trainer() -> tuple[subprocess.Popen[bytes], socket.socket]:
    """Start the trainer with nothing but its end of a socket pair; answer its process and our end.

    Call it before the first key exists: what the child inherits by accident is then worth nothing.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.set_inheritable(False)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox.training.worker", str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={name: os.environ[name] for name in _TRAINER_ENVIRONMENT if name in os.environ},
            close_fds=True,
            pass_fds=(theirs.fileno(),),
            cwd="/",
        )
    finally:
        theirs.close()
    return process, ours

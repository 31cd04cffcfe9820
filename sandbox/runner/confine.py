"""The wall between keeper and trainer, raised before there is anything to hide.

The trainer shares the keeper's uid, cgroup and mounts. What keeps them apart: the keeper is undumpable (its
``/proc`` entries belong to root, ptrace is refused), seccomp knows no ptrace or process_vm call, and the trainer is
started by ``exec`` with one end of a socket pair as its only descriptor.
"""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import sys

from sandbox.errors import IsolationMismatch

PR_SET_DUMPABLE = 4
PR_GET_DUMPABLE = 3
_TRAINER_ENVIRONMENT = ("PATH", "HOME", "PYTHONPATH", "PYTHONSAFEPATH", "PYTHONDONTWRITEBYTECODE", "NUMBA_CACHE_DIR",
                        "MPLCONFIGDIR", "LANG")  # fmt: skip


def become_undumpable() -> None:
    """Make this process unreadable to others of its own uid, core dumps included (prctl(2)).

    Raises:
        IsolationMismatch: the kernel did not do it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise IsolationMismatch("the keeper could not make itself undumpable")


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

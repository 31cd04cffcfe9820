"""Memory that holds keys or plaintext, kept from whoever might read it and from outliving its use.

1. **Nobody attaches.** :func:`become_undumpable` closes ``/proc/PID/mem`` and ptrace to processes of the same user.
2. **Nothing is dumped.** A limit of 0 bytes stops a core *file* only: where ``core_pattern`` names a program, the
   kernel pipes the core to it whatever the limit is (core(5)). :func:`empty_core_dumps` leaves no page in the dump.
3. **Nothing is swapped.** :func:`keep_out_of_swap` locks every page that is used, now and later.
4. **What is freed is overwritten.** Python's strings and bytes cannot be overwritten by us; the C library can do it as
   it takes them back. A long-lived program that sees plaintext is started with :data:`OVERWRITE_FREED`.
"""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sandbox.errors import IsolationMismatch

PR_SET_DUMPABLE = 4
PR_GET_DUMPABLE = 3
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4

#: The environment of such a program. Python takes every object from malloc, whose every freed block is filled with
#: a byte; without the cache a thread keeps of small blocks, which would be handed back as they are (glibc tunables).
OVERWRITE_FREED: Mapping[str, str] = {
    "PYTHONMALLOC": "malloc",
    "GLIBC_TUNABLES": "glibc.malloc.perturb=165:glibc.malloc.tcache_count=0",
}


def become_undumpable() -> None:
    """Make this process unreadable to others of its own uid, core dumps included (prctl(2)). Ends with ``exec``.

    Raises:
        IsolationMismatch: the kernel did not do it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise IsolationMismatch("this process could not make itself undumpable")


def allow_locked_memory() -> None:
    """Let this process and what it starts lock as much memory as they use; without root the limit stays as it is."""
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def keep_out_of_swap() -> bool:
    """Lock this process's memory, as it comes into use (mlockall(2)); ends with ``exec``.

    False where memory that may be locked is limited: under a limit, growing beyond it would fail at any later time.
    :func:`allow_locked_memory` by root, in a parent, lifts the limit; ``sandbox doctor`` says whether there is swap.
    """
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] != resource.RLIM_INFINITY:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) == 0)


def empty_core_dumps(asked: Path = Path("/proc/self/coredump_filter")) -> None:
    """Take all memory out of the core dumps of this process and of all that it will start; kept across ``exec``.

    Call it before :func:`become_undumpable`, which gives these files to root. A kernel without the file dumps no core.

    Raises:
        IsolationMismatch: the kernel did not do it.
    """
    if not asked.exists():
        return
    try:
        asked.write_text("0")
        if int(asked.read_text(), 16) == 0:
            return
    except (OSError, ValueError):
        pass
    raise IsolationMismatch("core dumps of this process could not be emptied of its memory")

"""Start the trainer's program beside a keeper in this process, under an audit hook or under strace; read the trace."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from tests.training.fake_keeper import FakeKeeper
from tests.training.trainer_program import MARK

ROOT = Path(__file__).parents[2]
# shm_open is openat under /dev/shm; a question mark lets strace pass over what a machine's kernel lacks
SYSCALLS = (
    "open", "openat", "openat2", "creat", "memfd_create", "mkdir", "mkdirat", "mknod", "mknodat", "rename", "renameat",
    "renameat2", "link", "linkat", "symlink", "symlinkat", "truncate", "write", "pwrite64", "writev", "pwritev",
    "pwritev2", "sendfile", "copy_file_range", "socket", "connect", "bind", "sendmsg", "sendmmsg", "fork", "vfork",
    "clone", "clone3", "execve", "execveat",
)  # fmt: skip
QUIET = ("stat", "newfstatat", "statx", "access", "faccessat", "faccessat2")  # one of them shows the mark


class Trainer:
    """The trainer's program beside a keeper in this process; what it said on every channel."""

    def __init__(self, found: FakeKeeper, folder: Path, home: Path, *, under: Sequence[str] = ()) -> None:
        ours, theirs = socket.socketpair()
        audit, hook = os.pipe()
        home.mkdir(exist_ok=True)
        speaking = threading.Thread(target=found._speak, args=(ours,), daemon=True)
        speaking.start()
        with theirs:
            done = subprocess.run(
                [
                    *under,
                    sys.executable,
                    "-m",
                    "tests.training.trainer_program",
                    str(theirs.fileno()),
                    str(folder),
                ],
                env=environment(home) | ({} if under else {"AUDIT": str(hook)}),
                cwd=ROOT,
                capture_output=True,
                pass_fds=(theirs.fileno(), hook),
                timeout=600,
            )
        os.close(hook)
        with open(audit, encoding="utf-8") as lines:
            self.audited = lines.read().splitlines()
        speaking.join(60)
        ours.close()
        self.ended, self.printed, self.keeper = done.returncode == 0, done.stdout + done.stderr, found


def environment(home: Path) -> dict[str, str]:
    """As the image sets it: home, scratch and caches in one folder, no bytecode."""
    places = dict.fromkeys(("HOME", "TMPDIR", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"), str(home))
    return {
        "PATH": "/usr/bin",
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LANG": "C.UTF-8",
        **places,
    }


def strace(trace: Path) -> list[str]:
    calls = ",".join(f"?{name}" for name in (*SYSCALLS, *QUIET))
    return ["strace", "-f", "--seccomp-bpf", "-y", "-qq", "-s", "64", "-e", "signal=none", "-e", f"trace={calls}", "-o",
            str(trace)]  # fmt: skip


_CALL = re.compile(r"^\d+ +(\w+)\((.*)$")
_WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND")
_PIPE = re.compile(r"^\d+<socket:|^(?![012]<)\d+<anon_inode:")  # espeak-ng answers over a socket pair


def breaches(lines: Sequence[str]) -> list[str]:
    """Calls after the mark that write, connect or start something; threads are no programs. The pipe may be written."""
    found = []
    after = False
    for line in lines:
        after = after or MARK in line
        call = _CALL.match(line)
        if not after or call is None or call[1] in QUIET:
            continue
        name, rest = call[1], call[2]
        opens = name in ("open", "openat", "openat2")
        harmless = (
            (opens and not _WRITING.search(rest))
            or (name in ("clone", "clone3") and "CLONE_THREAD" in rest)
            or ("write" in name and _PIPE.match(rest))
        )
        if not harmless:
            found.append(line)
    return found

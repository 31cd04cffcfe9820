"""What hostile code might try from inside: run in the container by its own Python, standard library only.

Every attempt runs in a process of its own and answers by returning (it is open) or raising. Printed is one JSON object,
attempt -> "open" or the reason why not. Arguments: a JSON object with what lies outside (``pid``, ``name``).
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

Try = Callable[[], object]
LIBC = ctypes.CDLL(None, use_errno=True)
OUTSIDE: dict[str, Any] = {}
SPACE = ctypes.create_string_buffer(512)  # what a call wants to have a pointer to
PR_SET_DUMPABLE = 4
MIB = 1 << 20
#: Numbers of system calls on x86-64, for those that no C library wraps everywhere.
NUMBERS = {
    "shmget": 29, "semget": 64, "msgget": 68, "ptrace": 101, "chroot": 161, "mount": 165, "personality": 135,
    "keyctl": 250, "unshare": 272, "inotify_init1": 294, "memfd_create": 319,
    "userfaultfd": 323, "io_uring_setup": 425, "pidfd_open": 434,
}  # fmt: skip


def call(name: str, *words: object) -> Try:
    """The system call itself."""

    def ask() -> None:
        if LIBC.syscall(NUMBERS[name], *words) < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return ask


def opens(family: int, kind: int) -> Try:
    return lambda: socket.socket(family, kind).close()


def writes(path: str, size: int = 1) -> Try:
    return lambda: Path(path).write_bytes(bytes(size))


def reads(path: str) -> Try:
    return lambda: Path(path).read_bytes()[0]


def hosts_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX) as mine:
        mine.connect(f"\0{OUTSIDE['name']}")


def hosts_process() -> None:
    if b"python" not in Path(f"/proc/{OUTSIDE['pid']}/cmdline").read_bytes():
        raise OSError("another process has this number")


def program_in_scratch() -> None:
    shutil.copy(os.path.realpath(sys.executable), "/tmp/program")
    subprocess.run(["/tmp/program", "-Sc", ""], check=True, stderr=subprocess.DEVNULL)


def code_in_scratch() -> None:
    with open("/tmp/code", "w+b") as file:
        file.write(bytes(mmap.PAGESIZE))
        file.flush()
        mmap.mmap(file.fileno(), mmap.PAGESIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC).close()


def lock() -> None:
    with open("/tmp/lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)


def record_lock() -> None:
    with open("/tmp/lock", "w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)


def lease() -> None:
    with open("/tmp/lease", "w") as file:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)


def many_processes() -> None:
    """More than the limit of the spec, all alive at once; ``outcome`` ends them."""
    for _ in range(300):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)


def many_descriptors() -> None:
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(9000)]
    for number in held:
        os.close(number)


def core_dumps() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (MIB, MIB))


def replaces_the_door() -> None:
    os.rename("/run/gate/events.sock", "/run/gate/old.sock")


def becomes_root() -> None:
    os.setuid(0)


def reads_memory_of_child(dumpable: int) -> Try:
    """The keeper and the trainer share a uid; what keeps memory apart is that the keeper is undumpable."""

    def ask() -> None:
        here, there = os.pipe()
        child = os.fork()
        if child == 0:
            LIBC.prctl(PR_SET_DUMPABLE, dumpable, 0, 0, 0)
            os.write(there, b"!")
            time.sleep(60)
            os._exit(0)
        os.read(here, 1)
        os.close(os.open(f"/proc/{child}/mem", os.O_RDONLY))

    return ask


def thread_and_program() -> None:
    subprocess.run([sys.executable, "-Sc", "import threading as t; t.Thread(target=print).start()"], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip


def speech() -> None:
    subprocess.run(["espeak-ng", "-q", "--ipa", "zero"], check=True, capture_output=True)


def knocks() -> None:
    with socket.socket(socket.AF_UNIX) as mine:
        mine.connect("/run/gate/events.sock")


#: What a run needs. These must be open, or the rest shows nothing.
CONTROLS: dict[str, Try] = {
    "scratch": writes("/tmp/file", 1024),
    "data": reads("/data/record"),
    "door": knocks,
    "threads and programs": thread_and_program,
    "espeak-ng": speech,
    "memory of a dumpable process": reads_memory_of_child(1),
}
ATTEMPTS: dict[str, Try] = {
    "internet socket": opens(socket.AF_INET, socket.SOCK_STREAM),
    "internet 6 socket": opens(socket.AF_INET6, socket.SOCK_STREAM),
    "netlink socket": opens(socket.AF_NETLINK, socket.SOCK_RAW),
    "packet socket": opens(socket.AF_PACKET, socket.SOCK_RAW),
    "host's abstract socket": hosts_abstract_socket,
    "host's process": hosts_process,
    "tracing": call("ptrace", 0, 0, 0, 0),
    "shared memory": call("shmget", 0x7777, 4096, 0o1666),
    "semaphores": call("semget", 0x7777, 1, 0o1666),
    "message queue": call("msgget", 0x7777, 0o1666),
    "keyring": call("keyctl", 0, -3, 1),
    "inotify": call("inotify_init1", 0),
    "lock": lock,
    "record lock": record_lock,
    "lease": lease,
    "program in memory": call("memfd_create", b"x", 0),
    "user fault handler": call("userfaultfd", 1),
    "kernel rings": call("io_uring_setup", 4, SPACE),
    "another user namespace": call("unshare", 0x1000_0000),
    "process by descriptor": call("pidfd_open", os.getpid(), 0),
    "write beside the scratch": writes("/var/tmp/file"),
    "write to shared memory": writes("/dev/shm/file", MIB),
    "write to data": writes("/data/file"),
    "replace the door": replaces_the_door,
    "program in the scratch": program_in_scratch,
    "code in the scratch": code_in_scratch,
    "fill the scratch": writes("/tmp/large", 20 * MIB),
    "many processes": many_processes,
    "many descriptors": many_descriptors,
    "core dumps": core_dumps,
    "root": becomes_root,
    "mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, 0),
    "another root": call("chroot", b"/tmp"),
    "device node": lambda: os.mknod("/tmp/device", 0o666 | stat.S_IFCHR, os.makedev(1, 3)),
    "memory of an undumpable process": reads_memory_of_child(0),
    "symbols of the host's kernel": reads("/proc/kallsyms"),
}


def outcome(attempt: Try) -> str:
    """Of one attempt, in a process of its own that takes its children along."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        try:
            attempt()
            said = "open"
        except Exception as refused:  # noqa: BLE001 - whatever it is, it is the answer
            said = str(refused) or type(refused).__name__
        os.write(there, said.encode()[:500])
        os._exit(0)
    os.close(there)
    said = os.read(here, 500).decode()
    os.close(here)
    with suppress(OSError):
        os.killpg(child, signal.SIGKILL)
    with suppress(ChildProcessError):
        while True:  # orphans become the first process's children, and this is it
            os.wait()
    return said or "killed"


if __name__ == "__main__":
    OUTSIDE.update(json.loads(sys.argv[1]))
    print(json.dumps({name: outcome(attempt) for name, attempt in {**CONTROLS, **ATTEMPTS}.items()}))

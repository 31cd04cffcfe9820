"""Numbers without a model, and attempts at what a recipe must not be able to do; each outcome is a metric, 0 or 1.

``misbehave`` breaks a rule on purpose, for the tests of keeper, gate and isolation.
"""

import ctypes
import os
import re
import socket
import subprocess
import threading
import time

import numpy as np

LAST = 0  # attempts are logged at step 0, numbers at 1 to `steps`


def main(run):
    misbehave = run.parameters["misbehave"]
    started = time.monotonic()
    heard = run.utterances() if run.records else []
    run.log("utterances", 0, len(heard))
    attempts = ATTEMPTS if run.parameters["attempts"] else {}
    for name, attempt in attempts.items():
        run.log(name, 0, attempt())
    run.log("attempts", 0, len(attempts))

    steps = run.parameters["steps"]
    for step in range(1, steps + 1):
        time.sleep(run.parameters["sleep_ms"] / 1000)
        run.log("value", step, 1 / step)
        run.progress(step, steps)
        if step == 1 and misbehave != "none":
            MISBEHAVIOURS[misbehave](run)
        if run.stopping:
            break
        for path in run.due(step):
            run.save(path, step, {"steps": np.arange(1, steps + 1, dtype=np.float32)})
        for path in run.due(step, "application/json"):
            run.save_json(path, step, {"steps": step, "attempts": len(attempts)})
    run.log("seconds", 0, time.monotonic() - started)


# Attempts: 1 means that it worked, which is never wanted.


def succeeds(attempt):
    try:
        return int(bool(attempt()))
    except Exception:
        return 0


def opened_socket():
    """A connection, or so much as a socket, of any family that leaves the machine."""

    def one(family, kind):
        with socket.socket(family, kind):
            return True

    families = [(socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM)]
    families += [(socket.AF_INET6, socket.SOCK_STREAM), (socket.AF_NETLINK, socket.SOCK_RAW)]
    families += [(socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_VSOCK, socket.SOCK_STREAM)]
    return max(succeeds(lambda f=f, k=k: one(f, k)) for f, k in families)


def resolved_name():
    return succeeds(lambda: socket.getaddrinfo("example.org", 443))


def writes(*folders):
    def one(folder):
        path = os.path.join(folder, "probe")
        with open(path, "wb") as file:
            file.write(b"x")
        os.unlink(path)
        return True

    return max(succeeds(lambda f=f: one(f)) for f in folders)


def reached_door():
    """A connection to a door of the keeper's that is answered."""

    def one(name):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(2)
            door.connect(f"/run/gate/{name}")
            return len(door.recv(1)) > 0

    return max(succeeds(lambda n=n: one(n)) for n in ("events.sock", "vault.sock"))


def read_keeper():
    """Memory, descriptors or environment of another process of this container."""

    def one(pid, name):
        if name == "fd":
            return bool(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/{name}", "rb") as file:
            return bool(file.read(1)) if name != "mem" else bool(os.pread(file.fileno(), 1, 1 << 22))

    others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
    return max(
        [succeeds(lambda p=p, n=n: one(p, n)) for p in others for n in ("mem", "environ", "fd")], default=0
    )


def traced_keeper():
    libc = ctypes.CDLL(None, use_errno=True)
    attached = succeeds(lambda: libc.ptrace(16, 1, 0, 0) == 0)  # PTRACE_ATTACH
    if attached:
        libc.ptrace(17, 1, 0, 0)  # PTRACE_DETACH
    return attached


def started_program():
    """A program of one's own: written, made executable, started."""

    def one():
        path = "/tmp/program"
        with open(path, "w") as file:
            file.write("#!/bin/true\n")
        os.chmod(path, 0o700)
        return subprocess.run([path], check=False).returncode == 0

    return succeeds(one)


def became_root():
    def one():
        os.setuid(0)
        return os.getuid() == 0

    return succeeds(one)


# Tokens of Vault and OpenBao (24 letters with a digit somewhere), and data keys as Vault wraps them.
TOKEN = re.compile(
    rb"hv[sb]\.[A-Za-z0-9_-]{20,}|\b[sb]\.(?=[A-Za-z]*\d)[A-Za-z0-9]{24}\b|vault:v\d+:[A-Za-z0-9+/]{20,}"
)


def keys_in_memory():
    """Whether this process's own memory holds anything that looks like a Vault token or a wrapped key."""

    def one():
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
            for line in maps:
                span, mode, *_ = line.split()
                if not mode.startswith("rw"):
                    continue
                start, end = (int(x, 16) for x in span.split("-"))
                try:
                    data = os.pread(memory.fileno(), min(end - start, 256 << 20), start)
                except OSError:
                    continue
                if TOKEN.search(data):
                    return True
        return False

    return succeeds(one)


def keys_in_environment():
    return int(bool(TOKEN.search(repr(sorted(os.environ.items())).encode())))


ATTEMPTS = {
    "opened_socket": opened_socket,
    "resolved_name": resolved_name,
    "wrote_file": lambda: writes("/", "/app", "/opt", "/etc", "/var/tmp", "/dev", "/run", "/home"),
    "wrote_recipe": lambda: writes("/recipe"),
    "wrote_data": lambda: writes("/data", "/inputs", "/run/gate"),
    "reached_door": reached_door,
    "read_keeper": read_keeper,
    "traced_keeper": traced_keeper,
    "started_program": started_program,
    "became_root": became_root,
    "keys_in_memory": keys_in_memory,
    "keys_in_environment": keys_in_environment,
}


# Misbehaviours: each must end the run, or be cut down to what the card allows.


def raw(run, kind, **body):
    """Past the checks of ``run``: straight down the pipe."""
    run._channel.send(kind, **body)


def crash(run):
    raise ValueError("a message that must not leave")


def leave(run):
    os._exit(3)


def undeclared_metric(run):
    raw(run, "metric", name="secret", step=1, value=1.0)


def metric_out_of_bounds(run):
    raw(run, "metric", name="value", step=2, value=1e300)


def undeclared_artifact(run):
    raw(run, "artifact", path="secret.flac", step=1, media_type="audio/flac", metadata={})


def oversize_artifact(run):
    path = "numbers.safetensors"
    step = run.parameters["steps"]
    raw(run, "artifact", path=path, step=step, media_type="application/vnd.safetensors", metadata={})
    for part in range(16):
        body = {"dtype": "uint8", "shape": [65536], "data": bytes(65536)}
        raw(run, "tensor", path=path, name=f"t{part}", **body)
    raw(run, "close", path=path)


def text(run):
    raw(run, "text", line="a line that must not leave")


def unknown_record(run):
    raw(run, "want", records=["no-such-record"])


def garbage(run):
    run._channel._sock.setblocking(True)
    run._channel._sock.sendall(b"\xff" * 64)


def hoard(run):
    """Memory until the container's limit ends it."""
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1 << 20) * 64))


def fork(run):
    """Processes until the container's limit says no."""
    for _ in range(10_000):
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)


def hang(run):
    time.sleep(86_400)


def knock(run):
    """Race the keeper for the door for as long as the run goes on: whenever a gate opens it, be there first."""

    def race():
        while True:
            door = socket.socket(socket.AF_UNIX)
            door.settimeout(0.2)
            try:
                door.connect("/run/gate/events.sock")
                door.recv(1)
            except OSError:
                time.sleep(0.005)
            finally:
                door.close()

    for _ in range(4):
        threading.Thread(target=race, daemon=True).start()


MISBEHAVIOURS = {
    f.__name__: f
    for f in (
        crash,
        leave,
        undeclared_metric,
        metric_out_of_bounds,
        undeclared_artifact,
        oversize_artifact,
        text,
        unknown_record,
        garbage,
        hoard,
        fork,
        hang,
        knock,
    )
}

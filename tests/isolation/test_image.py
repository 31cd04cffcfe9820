"""The image under the profile: two programs, nothing to gain, and all that training needs, soon enough."""

from __future__ import annotations

import json

import pytest

from sandbox.deployment.image import Builder
from sandbox.isolation.podman import Podman
from tests.isolation.conftest import ROOT, TRUST, Yard

pytestmark = pytest.mark.needs_engine

LOOK = """
import json, os, stat
programs, risen, writable = set(), [], []
for parent, folders, names in os.walk("/"):
    if parent == "/":
        folders[:] = [name for name in folders if name not in ("proc", "sys", "dev")]
    for name in names:
        path = f"{parent}/{name}"
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode) and found.st_mode & (stat.S_ISUID | stat.S_ISGID):
            risen.append(path)
        if stat.S_ISREG(found.st_mode) and os.access(path, os.W_OK):
            writable.append(path)
        if parent.endswith(("/bin", "/sbin")) and os.access(path, os.X_OK):
            programs.add(name)
machine = [p for p in ("/etc/resolv.conf", "/etc/hostname") if os.path.exists(p) and open(p).read().strip()]
app = sorted(os.path.relpath(os.path.join(p, n), "/app") for p, _, ns in os.walk("/app") for n in ns)
print(json.dumps({"programs": sorted(programs), "risen": risen, "writable": writable, "app": app,
                  "machine": machine, "ids": [os.getuid(), os.getgid()], "environment": dict(os.environ)}))
"""

TRAIN = """
import sys
import sandbox.training.worker, sandbox.training.fastpitch, opacus, pocketsphinx, soundfile, torch
import subprocess
assert torch.ones(4, 4).matmul(torch.ones(4, 4)).sum() == 64
assert not torch.cuda.is_available()
assert subprocess.run(["espeak-ng", "-q", "--ipa", "one"], capture_output=True).stdout.strip()
print(*sorted({"numba", "hvac", "mlflow"} & set(sys.modules)))
"""

KEEPER = """
import sys
import sandbox.runner.__main__
print(*sorted({"torch", "TTS", "opacus", "mlflow", "sandbox.training"} & set(sys.modules)))
"""


def test_there_is_no_shell_and_nothing_to_rise_with(yard: Yard, podman: Podman) -> None:
    done = yard.run_python(podman, "-Sc", LOOK)
    seen = json.loads(done.stdout)
    programs = {name for name in seen["programs"] if not name.startswith("python3")}
    assert programs == {"python", "espeak-ng", "torch_shm_manager"}  # the last one torch insists on
    assert seen["risen"] == []
    assert seen["writable"] == []
    assert seen["ids"] == [65532, 65532]


def test_nothing_of_the_machine_that_built_it_is_in_the_image(yard: Yard, podman: Podman) -> None:
    """Its name and its resolver: the container's own host name is all that may stand there."""
    seen = json.loads(yard.run_python(podman, "-Sc", LOOK).stdout)
    assert set(seen["machine"]) <= {"/etc/hostname"}


def test_the_image_holds_the_container_half_and_its_own_trust_anchors(yard: Yard, podman: Podman) -> None:
    app = json.loads(yard.run_python(podman, "-Sc", LOOK).stdout)["app"]
    parts = {path.split("/")[1].removesuffix(".py") for path in app if path.startswith("sandbox/")}
    assert parts == {
        "__init__", "errors", "memory", "statements", "records", "runs", "frames", "sealing", "vault", "training",
        "runner",
    }  # fmt: skip
    assert "trust.json" in app
    shown = yard.run_python(podman, "-Sc", "print(open('/app/trust.json').read(), end='')")
    assert shown.stdout.encode() == TRUST


def test_training_imports_and_runs_without_compiling_anything(yard: Yard, podman: Podman) -> None:
    """numba would compile for some 15 s in every fresh container (ISOLATION): nothing may load it."""
    done = yard.run_python(podman, "-c", TRAIN, spec=yard.spec(memory_bytes=2 << 30))
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr[-2000:]


def test_the_keeper_imports_no_torch(yard: Yard, podman: Podman) -> None:
    done = yard.run_python(podman, "-c", KEEPER)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr[-2000:]


def test_the_same_inputs_are_found_again_and_other_anchors_are_another_image(image: str) -> None:
    """Everything below the small top layer stays: no wheels are asked for."""
    notes: list[str] = []
    builder = Builder("podman", ROOT, ROOT / "no wheels here", notes.append)
    assert builder.runner(TRUST) == image
    assert notes == []
    assert builder.libraries() != image

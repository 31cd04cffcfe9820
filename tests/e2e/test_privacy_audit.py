"""`sandbox privacy audit` in a real installation: a dry run on made-up people, outside any agreement."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from sandbox.demo import speech
from sandbox.demo.attempts import AUDITOR, ENGINEER
from sandbox.demo.story import Stage
from tests.e2e.conftest import OPERATOR, ROOT, Stack


@pytest.fixture(scope="module")
def ready(stack: Stack, stage: Stage) -> Stack:
    """The installation with its people, and public speech, without which there is no dry run of anything."""
    folder = stage.work / "public"
    speech.gather_digits(folder, "spk_pub0")
    stack.must(OPERATOR, "up", "--public-speech", str(folder))
    return stack


def audit(stack: Stack, *parameters: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, the figures, and the code of the failure, if any; in the folder that holds ``recipes/``."""
    words = ("--json", "privacy", "audit", *(word for one in parameters for word in ("-p", one)))
    done = subprocess.run(
        stack.house._argv(words),
        env=stack.house._environment(ENGINEER),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines() if line.startswith("{")]
    figures = next((line for line in lines if "lower_bound" in line), {})
    return done.returncode, figures, next((line["error"]["code"] for line in lines if "error" in line), "")


def test_a_private_training_keeps_its_claim(ready: Stack) -> None:
    code, found, said = audit(ready, "epsilon=1", "canaries=200", "steps=5")
    assert (code, said) == (0, "")
    assert found["kept"] and found["lower_bound"] <= found["claim"] == 1.0 and found["guesses"] == 200


def test_a_training_without_its_noise_is_caught(ready: Stack) -> None:
    code, found, said = audit(ready, "noise=false")
    assert (code, said) == (6, "privacy.claim_false")
    assert not found["kept"] and found["lower_bound"] > found["claim"]
    kinds = [entry["kind"] for entry in ready.must(AUDITOR, "incident", "list").lines]
    assert "privacy.claim_false" not in kinds  # it was broken on purpose

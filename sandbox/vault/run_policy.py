"""The policy under which a run of one dataset and one purpose unwraps data keys. Pure text."""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.errors import Usage
from sandbox.records import check_id
from sandbox.runs import PURPOSES
from sandbox.vault.keys import context

MAX_BYTES = 1 << 20  # Vault's largest entry


def run_policy_name(dataset: str, purpose: str) -> str:
    """``run-<dataset>-<purpose>``. Raises Usage for a purpose or dataset that is none."""
    if purpose not in PURPOSES:
        raise Usage(f"{purpose!r} is no purpose", mend=f"one of {', '.join(PURPOSES)}")
    return f"run-{check_id('dataset', dataset)}-{purpose}"


def run_policy(dataset: str, barred: Iterable[str]) -> str:
    """HCL: decrypt under this dataset's subjects and index, one wrap a call, in this dataset's context only.

    Unlisted parameters are refused, so ``batch_input`` cannot carry another context past the pinned one. An exact
    path outranks a glob: a ``deny`` line bars one subject, and live tokens feel it at once.
    """
    pinned = context(dataset)
    allow = (
        '{\n  capabilities = ["update"]\n  required_parameters = ["ciphertext", "context"]\n'
        f'  allowed_parameters = {{ "ciphertext" = [], "context" = ["{pinned}"] }}\n}}\n'
    )
    lines = [
        f'path "subjects/decrypt/{dataset}.*" {allow}',
        f'path "subjects/decrypt/index.{dataset}" {allow}',
    ]
    lines += [
        f'path "subjects/decrypt/{dataset}.{check_id("subject", subject)}" {{ capabilities = ["deny"] }}\n'
        for subject in sorted(set(barred))
    ]
    lines.append('path "auth/token/revoke-self" { capabilities = ["update"] }\n')
    text = "".join(lines)
    if len(text) > MAX_BYTES:
        raise Usage(
            f"too many subjects of {dataset} are barred for one policy", mend="erase, or split the dataset"
        )
    return text

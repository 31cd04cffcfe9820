"""Evidence that can be checked by anybody, offline: nothing here reads a clock, a file or a network.

``tree`` is the append-only Merkle log of RFC 6962, ``checkpoint`` its signed notes (C2SP), ``log`` verifies both
together; ``vault_join`` holds Vault's own audit file against the grants; ``evidence`` is what an auditor is handed.
"""

from sandbox.audit.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from sandbox.audit.erasure import Certificate, Receipt, open_certificate, open_receipt
from sandbox.audit.evidence import Evidence, Verified
from sandbox.audit.evidence import verify as verify_evidence
from sandbox.audit.log import LogReport, verify_log
from sandbox.audit.tree import (
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)
from sandbox.audit.vault_join import VaultReport, Window, join

__all__ = [
    "Certificate",
    "Checkpoint",
    "Evidence",
    "LogReport",
    "Receipt",
    "Tree",
    "VaultReport",
    "Verified",
    "Window",
    "consistency_proof",
    "inclusion_proof",
    "join",
    "leaf_hash",
    "open_certificate",
    "open_checkpoint",
    "open_receipt",
    "root",
    "sign_checkpoint",
    "verify_consistency",
    "verify_evidence",
    "verify_inclusion",
    "verify_log",
]

"""Against the vectors of RFC 6962's reference tests, and against each other."""

from __future__ import annotations

import hashlib

import pytest

from sandbox.audit import (
    Tree,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    verify_consistency,
    verify_inclusion,
)

# Inputs and roots of the certificate-transparency reference implementation (merkletree tests).
ENTRIES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def test_roots_are_those_of_the_reference() -> None:
    assert [root(LEAVES[: n + 1]).hex() for n in range(8)] == ROOTS
    assert root([]) == hashlib.sha256(b"").digest()


def test_a_growing_tree_has_the_same_roots() -> None:
    tree = Tree()
    for n, leaf in enumerate(LEAVES):
        tree.append(leaf)
        assert (tree.size, tree.root().hex()) == (n + 1, ROOTS[n])


def test_the_references_inclusion_proof() -> None:
    expected = [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [node.hex() for node in inclusion_proof(LEAVES, 5)] == expected


@pytest.mark.parametrize("size", range(1, 18))
def test_every_leaf_proves_its_place_and_no_other(size: int) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    top = root(leaves)
    for index in range(size):
        proof = inclusion_proof(leaves, index)
        assert verify_inclusion(leaves[index], index, size, proof, top)
        assert not verify_inclusion(leaf_hash(b"other"), index, size, proof, top)
        assert not verify_inclusion(leaves[index], index + 1, size, proof, top)
        assert not verify_inclusion(leaves[index], index, size, [*proof, top], top)
        assert not (proof and verify_inclusion(leaves[index], index, size, proof[:-1], top))


@pytest.mark.parametrize("size", range(1, 18))
def test_every_older_log_is_proved_a_beginning(size: int) -> None:
    leaves = [leaf_hash(bytes([n])) for n in range(size)]
    top = root(leaves)
    for old in range(1, size + 1):
        proof = consistency_proof(leaves, old)
        before = root(leaves[:old])
        assert verify_consistency(old, before, size, top, proof)
        assert not verify_consistency(old, leaf_hash(b"other"), size, top, proof)
        assert not verify_consistency(old, before, size, leaf_hash(b"other"), proof)
        assert not verify_consistency(old, before, size, top, [*proof, top])


def test_nothing_is_consistent_with_a_longer_log() -> None:
    assert not verify_consistency(3, root(LEAVES[:3]), 2, root(LEAVES[:2]), [])
    with pytest.raises(IndexError):
        consistency_proof(LEAVES, 9)
    with pytest.raises(IndexError):
        inclusion_proof(LEAVES, 8)

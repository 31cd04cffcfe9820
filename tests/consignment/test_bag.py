"""A file too many, too few or altered is refused by name; nothing is believed before it is verified."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.consignment.bag import Bag
from sandbox.consignment.chunks import CHUNK_BYTES, decrypt_file, encrypt_file
from sandbox.consignment.envelope import IntakeKey, draw_private, unwrap_key, wrap_key
from sandbox.consignment.findings import read_findings
from sandbox.consignment.manifest import read_manifest
from sandbox.consignment.payload import open_recording
from sandbox.errors import ConsignmentError, SandboxError, StatementError, Usage
from sandbox.statements import Ed25519Signer
from tests.fakes.agreement import PARTY_A, PARTY_B
from tests.fakes.consignment import INTAKE, archive, members, packed, studio


@pytest.fixture(scope="module")
def consignment(tmp_path_factory):
    home = tmp_path_factory.mktemp("a")
    packed(studio(home / "studio"), home / "c")
    return (home / "c").read_bytes()


def read(data, key=PARTY_A):
    bag = Bag([data], [key.public])
    return bag, list(bag.files())


def test_a_consignment_is_read_whole_and_opens(consignment):
    bag, files = read(consignment)
    key = unwrap_key(bag.letter.sealed_key, INTAKE, bag.letter.bound_to)
    found = [
        open_recording(decrypt_file(key, bag.letter.consignment, n, data)) for n, data in enumerate(files)
    ]
    assert [facts["text"] for facts, _ in found] == ["word nought", "word one", "word two", "word three"]
    assert {facts["subject"] for facts, _ in found} == set(bag.letter.subjects)
    assert [facts["file"] for facts, _ in found] == [f"00000{n}.wav" for n in range(4)]
    assert bag.letter.files == 4 and all(audio.startswith(b"RIFF") for _, audio in found)


def flip(data, at=-1):
    return data[:at] + bytes([data[at] ^ 1]) + (data[at + 1 :] if at != -1 else b"")


def changed(change):
    def make(data):
        parts = members(data)
        return archive(change(parts) or parts)

    return make


def altered(name, how=flip):
    def change(parts):
        return [(n, how(body) if n == name else body) for n, body in parts]

    return changed(change)


def padded(data):
    """With a byte in the padding behind the manifest, which is never a multiple of 512 here."""
    at = data.index(b"data/000003.sealed\n") + len("data/000003.sealed\n")
    assert data[at] == 0
    return data[:at] + b"x" + data[at + 1 :]


FIRST, LAST = "data/000000.sealed", "data/000003.sealed"
BAD = {
    "a file altered": (altered(FIRST), "consignment.file_altered", FIRST),
    "the last file altered": (altered(LAST), "consignment.file_altered", LAST),
    "a file shorter": (altered(FIRST, lambda b: b[:-1]), "consignment.file_altered", FIRST),
    "a file longer": (altered(FIRST, lambda b: b + b"x"), "consignment.file_altered", FIRST),
    "a file too few": (changed(lambda p: p[:3] + p[4:]), "consignment.file_missing", FIRST),
    "the last too few": (changed(lambda p: p[:-1]), "consignment.file_missing", LAST),
    "a file too many": (
        changed(lambda p: [*p, ("data/000004.sealed", b"x")]),
        "consignment.file_unlisted",
        "000004",
    ),
    "a stranger between": (
        changed(lambda p: [*p[:4], ("evil", b"x"), *p[4:]]),
        "consignment.file_unlisted",
        "evil",
    ),
    "a file twice": (changed(lambda p: [*p, p[-1]]), "consignment.file_unlisted", LAST),
    "two files swapped": (changed(lambda p: [*p[:3], p[4], p[3], *p[5:]]), "consignment.file_missing", FIRST),
    "two names swapped": (
        changed(lambda p: [*p[:3], (p[3][0], p[4][1]), (p[4][0], p[3][1]), *p[5:]]),
        "consignment.file_altered",
        FIRST,
    ),
    "manifest altered": (altered("manifest-sha256.txt"), "consignment.file_altered", "manifest"),
    "findings altered": (altered("findings.json", lambda b: b"[ ]"), "consignment.file_altered", "findings"),
    "no findings": (changed(lambda p: [*p[:2], *p[3:]]), "consignment.file_missing", "findings.json"),
    "garbage behind": (lambda data: data + b"garbage", "consignment.trailing", ""),
    "garbage in the padding": (padded, "consignment.padding", ""),
    "cut in a file": (lambda data: data[:-1500], "consignment.truncated", ""),
    "no end mark": (lambda data: data[:-1024], "consignment.truncated", ""),
    "half an end mark": (lambda data: data[:-512], "consignment.truncated", ""),
    "nothing": (lambda data: b"", "consignment.truncated", ""),
    "something else": (lambda data: b"x" * 4096, "consignment.unreadable", ""),
}


@pytest.mark.parametrize(("change", "code", "named"), BAD.values(), ids=BAD.keys())
def test_what_is_not_as_it_was_signed_is_refused_by_name(consignment, change, code, named):
    with pytest.raises((ConsignmentError, StatementError)) as caught:
        read(change(consignment))
    assert code in caught.value.code and named in caught.value.message


def test_a_file_that_claims_more_than_was_signed_is_not_read(consignment):
    """Whoever sends it cannot make the custodian take a terabyte: the claim alone is refused."""
    parts = members(consignment)
    longer = archive([*parts[:3], (FIRST, parts[3][1] + b"x" * (5 << 20)), *parts[4:]])

    def pieces():
        yield longer[: len(archive(parts[:3])) - 1024 + 512]  # up to the header of the first file
        raise AssertionError("it was read on")

    with pytest.raises(ConsignmentError) as caught:
        list(Bag(pieces(), [PARTY_A.public]).files())
    assert caught.value.code == "consignment.file_altered"


def test_a_letter_of_somebody_else_is_refused(consignment):
    for key in (PARTY_B, Ed25519Signer(Ed25519PrivateKey.generate())):
        with pytest.raises(StatementError):
            read(consignment, key)


def test_a_letter_altered_is_refused(consignment):
    with pytest.raises(StatementError):
        read(
            altered("consignment.dsse.json", lambda body: body.replace(b'"payload":"', b'"payload":"ey'))(
                consignment
            )
        )


def test_a_content_key_opens_for_its_own_consignment_and_key_alone():
    to, key, bound = IntakeKey.of_private(INTAKE), b"k" * 32, ("cs-aaaa", "dsa-1", "digits")
    wrapped = wrap_key(key, to, bound)
    assert unwrap_key(wrapped, INTAKE, bound) == key
    for private, about in (
        (draw_private(), bound),
        (INTAKE, ("cs-bbbb", "dsa-1", "digits")),
        (INTAKE, ("cs-aaaa", "dsa-2", "digits")),
        (INTAKE, ("cs-aaaa", "dsa-1", "voices")),
    ):
        with pytest.raises(ConsignmentError) as caught:
            unwrap_key(wrapped, private, about)
        assert caught.value.code == "consignment.key_differs"
    with pytest.raises(ConsignmentError):
        unwrap_key(flip(wrapped), INTAKE, bound)


def test_a_key_is_written_as_its_scheme_and_32_bytes():
    text = IntakeKey.of_private(INTAKE).text
    assert IntakeKey.from_text(text).text == text
    for bad in ("", "x25519:", "x25519:AAAA", text.replace("x25519", "ed25519"), "x25519:é"):
        with pytest.raises(Usage):
            IntakeKey.from_text(bad)


SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES]


@pytest.mark.parametrize("size", SIZES)
def test_a_file_of_any_size_comes_back(size):
    plain = bytes(range(256)) * (size // 256 + 1)
    sealed = b"".join(encrypt_file(b"k" * 32, "cs-aaaa", 3, plain[:size]))
    assert decrypt_file(b"k" * 32, "cs-aaaa", 3, sealed) == plain[:size]


TAG = CHUNK_BYTES + 16
MOVED = {
    "another consignment": lambda d: ("cs-bbbb", 3, d),
    "another file": lambda d: ("cs-aaaa", 4, d),
    "cut at a chunk's end": lambda d: ("cs-aaaa", 3, d[:TAG]),
    "cut within a chunk": lambda d: ("cs-aaaa", 3, d[:-20]),
    "chunks swapped": lambda d: ("cs-aaaa", 3, d[TAG : 2 * TAG] + d[:TAG] + d[2 * TAG :]),
    "a chunk twice": lambda d: ("cs-aaaa", 3, d[:TAG] + d),
    "a bit": lambda d: ("cs-aaaa", 3, flip(d)),
    "empty": lambda d: ("cs-aaaa", 3, b""),
}


@pytest.mark.parametrize("move", MOVED.values(), ids=MOVED.keys())
def test_a_chunk_is_bound_to_consignment_file_and_place(move):
    sealed = b"".join(encrypt_file(b"k" * 32, "cs-aaaa", 3, b"p" * (2 * CHUNK_BYTES + 5)))
    with pytest.raises(ConsignmentError) as caught:
        decrypt_file(b"k" * 32, *move(sealed))
    assert caught.value.code == "consignment.forged"


# Whatever comes in: the product's own errors, and no other.


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_change_of_bytes_is_one_of_our_errors(consignment, data):
    at = data.draw(st.integers(0, len(consignment) - 1))
    new = data.draw(st.binary(min_size=0, max_size=12))
    changed_bytes = consignment[:at] + new + consignment[at + len(new) :]
    cut = data.draw(st.integers(0, len(changed_bytes)))
    given_bytes = changed_bytes if data.draw(st.booleans()) else changed_bytes[:cut]
    if given_bytes == consignment:
        return
    try:
        bag, files = read(given_bytes)
    except SandboxError:
        return
    # What is left: a header's field that says nothing, such as a date. Everything signed is as it was.
    assert files == read(consignment)[1] and bag.signed == read(consignment)[0].signed


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000))
def test_any_bytes_are_one_of_our_errors(noise):
    with pytest.raises(SandboxError):
        read(noise)
    for parse in (read_manifest, read_findings, open_recording):
        try:
            parse(noise)
        except ConsignmentError:
            continue


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=5),
    )
)
def test_a_letter_that_is_signed_but_says_anything_is_one_of_our_errors(said):
    from sandbox.consignment.letter import open_letter
    from sandbox.statements import sign_statement

    predicate = said if isinstance(said, dict) else {"said": said}
    with pytest.raises(ConsignmentError):
        open_letter(sign_statement("consignment", [], predicate, [PARTY_A]), [PARTY_A.public])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_letter_with_one_field_of_another_kind_is_refused(consignment, data):
    import json

    from sandbox.consignment.letter import open_letter
    from sandbox.statements import open_statement, sign_statement

    statement = open_statement(
        dict(members(consignment))["consignment.dsse.json"], "consignment", [PARTY_A.public]
    )
    said = json.loads(json.dumps(dict(statement.predicate)))
    field = data.draw(st.sampled_from([*sorted(said), "something else"]))
    said[field] = data.draw(
        st.none() | st.integers(max_value=0) | st.lists(st.integers(), min_size=1) | st.just({})
    )
    with pytest.raises(ConsignmentError) as caught:
        open_letter(sign_statement("consignment", statement.subjects, said, [PARTY_A]), [PARTY_A.public])
    assert caught.value.code == "consignment.letter_invalid"

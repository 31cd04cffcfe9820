"""``configs/storage.yaml`` and the keys' file: read strictly, refused with the place of the fault, never quoted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.deployment import storage_keys
from sandbox.deployment.places import Places
from sandbox.deployment.users import one_user
from sandbox.errors import CredentialError, SandboxError, Unreachable, Usage
from sandbox.storage.credential import NAME, StorageKey, read_key, read_keys
from sandbox.storage.settings import Location, load, parse
from tests.fakes.s3 import BUCKET as SEALED
from tests.fakes.s3 import HOST, REGION, S3, stranger

ROOT = Path(__file__).resolve().parents[2]
BUCKET = b"sealed: s3://voices/eu/sealed/\nregion: eu-central-1\n"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCY"
KEYS = f"""\
[custodian]
aws_access_key_id = AKCUSTODIAN
aws_secret_access_key = {SECRET}
[gate]
aws_access_key_id = AKGATE
aws_secret_access_key = {SECRET}x
"""


def test_what_is_shipped_keeps_datasets_in_the_state_directory() -> None:
    found = load(ROOT)
    assert found.location is None and found.cache_bytes == 200 << 30


def test_a_bucket_is_named_with_its_prefix_and_region() -> None:
    assert parse(BUCKET).location == Location("voices", "eu/sealed", "eu-central-1")
    more = b"endpoint: https://s3.example\nca: /etc/ca.pem\nattempts: 2\ntimeout: 5s\ncache_max: 3GiB\n"
    found = parse(BUCKET + more)
    assert found.cache_bytes == 3 << 30
    assert found.location == Location(
        "voices", "eu/sealed", "eu-central-1", "https://s3.example", "/etc/ca.pem", attempts=2, timeout_s=5
    )


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"sealed: s3://voices\nregion: x\n", r"storage.yaml:1: sealed: write local, or s3://BUCKET/PREFIX"),
        (b"sealed: s3://voices/../up\nregion: x\n", "storage.yaml:1: sealed"),
        (b"sealed: s3://VOICES/eu\nregion: x\n", "storage.yaml:1: sealed"),
        (b"sealed: file:///tmp\n", "storage.yaml:1: sealed"),
        (b"sealed: s3://voices/eu\n", "needs its region"),
        (b"sealed: local\nendpoint: https://s3.example\n", "but sealed is local"),
        (BUCKET + b"endpoint: http://s3.example\n", "storage.yaml:3: endpoint: .*https"),
        (BUCKET + b"endpoint: https://key:secret@s3.example\n", "storage.yaml:3: endpoint"),
        (BUCKET + b'endpoint: "https://:secret@s3.example"\n', "storage.yaml:3: endpoint"),
        (BUCKET + b"endpoint: https://s3.example:https\n", "storage.yaml:3: endpoint"),
        (BUCKET + b"endpoint: https://s3.example:99999\n", "storage.yaml:3: endpoint"),
        (BUCKET + b'endpoint: "https://s3 .example"\n', "storage.yaml:3: endpoint"),
        (BUCKET + b"endpoint: s3.example\n", "storage.yaml:3: endpoint"),
        (BUCKET + b"attempts: 0\n", "storage.yaml:3: attempts"),
        (BUCKET + b"timeout: 30\n", "storage.yaml:3: timeout"),
        (BUCKET + b"aws_secret_access_key: x\n", "storage.yaml:3: aws_secret_access_key: no such key"),
        (BUCKET + b"region: twice\n", "stands twice"),
        (b"", "empty"),
    ],
)
def test_a_fault_is_named_with_its_line(said: bytes, why: str) -> None:
    with pytest.raises(Usage, match=why):
        parse(said)


def test_a_missing_file_is_no_permission(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="cannot be read"):
        load(tmp_path)


# Keys


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.ini"
    path.touch(0o600)
    path.write_text(KEYS)
    return path


@pytest.fixture
def places(tmp_path: Path) -> Places:
    places = Places(tmp_path / "s")
    for hand in ("gate", "custodian"):
        places.private(hand).mkdir(parents=True)
    return places


def test_each_hand_gets_its_own_key_and_nobody_elses(file: Path, places: Places) -> None:
    for _ in range(2):
        storage_keys.hand_over(places, one_user(os.getuid(), os.getgid()), read_keys(file))
    assert read_key(places.private("gate")) == StorageKey("AKGATE", f"{SECRET}x")
    assert read_key(places.private("custodian")) == StorageKey("AKCUSTODIAN", SECRET)
    for hand in ("gate", "custodian"):
        kept = places.private(hand) / NAME
        assert kept.stat().st_mode & 0o777 == 0o600
        assert (SECRET + "x" in kept.read_text()) == (hand == "gate")


def test_a_key_never_shows_its_secret(file: Path) -> None:
    assert SECRET not in repr(read_keys(file))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(Usage) as caught:
        read_keys(file)
    assert caught.value.code == "storage.keys_exposed" and "chmod 600" in caught.value.mend


def test_a_link_and_a_pipe_are_no_file(file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(file)
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, why in (
        ("link", "cannot be read"),
        ("pipe", "is no plain file"),
        ("missing", "cannot be read"),
    ):
        with pytest.raises(Usage, match=why):
            read_keys(tmp_path / name)


@pytest.mark.parametrize(
    "said",
    [
        "",
        KEYS.replace("[gate]", "[other]"),
        KEYS + "[third]\naws_access_key_id = AKX\naws_secret_access_key = abcdefgh\n",
        KEYS + "aws_session_token = x\n",
        KEYS + "[gate]\n",
        KEYS.replace("aws_access_key_id = AKGATE\n", ""),
        KEYS.replace(f"{SECRET}x", ""),
        KEYS.replace("AKGATE", "AK GATE"),
        f"no section {SECRET}",
        KEYS + "\xe9",
    ],
    ids=[
        "empty",
        "other hand",
        "third hand",
        "session",
        "twice",
        "no id",
        "no secret",
        "odd id",
        "no section",
        "odd",
    ],
)
def test_a_file_with_anything_else_is_refused_without_quoting_it(file: Path, said: str) -> None:
    file.write_text(said)
    with pytest.raises(Usage) as caught:
        read_keys(file)
    error = caught.value
    assert error.code == "storage.keys_invalid" and error.__suppress_context__
    assert SECRET not in error.message + error.mend


def test_one_key_for_both_hands_is_refused(file: Path) -> None:
    file.write_text(KEYS.replace("AKGATE", "AKCUSTODIAN"))
    with pytest.raises(Usage) as caught:
        read_keys(file)
    assert caught.value.code == "storage.keys_shared"


@pytest.mark.parametrize("kept", [None, b"", b"{}", b'{"id": "AK", "secret": 1}', b"[]"])
def test_a_service_without_a_usable_key_says_what_to_do(places: Places, kept: bytes | None) -> None:
    private = places.private("gate")
    if kept is not None:
        (private / NAME).touch(0o600)
        (private / NAME).write_bytes(kept)
    with pytest.raises(CredentialError) as caught:
        read_key(private)
    assert caught.value.code == "storage.no_key" and "--storage-keys" in caught.value.mend


def test_a_bucket_without_keys_is_not_brought_up(places: Places, file: Path, tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "storage.yaml").write_text("sealed: local\n")
    storage_keys.require(places, tmp_path)
    (tmp_path / "configs" / "storage.yaml").write_bytes(BUCKET)
    with pytest.raises(Unreachable) as caught:
        storage_keys.require(places, tmp_path)
    assert caught.value.code == "storage.no_key" and "s3://voices/eu/sealed" in caught.value.message
    storage_keys.hand_over(places, one_user(os.getuid(), os.getgid()), read_keys(file))
    storage_keys.require(places, tmp_path)
    (places.private("gate") / NAME).unlink()
    with pytest.raises(SandboxError):
        storage_keys.require(places, tmp_path)


def test_doctor_tells_which_key_reaches_the_store(places: Places, objects: S3, prefix: str) -> None:
    assert list(storage_keys.look(places)) == [], "nothing is installed"
    (places.app / "configs").mkdir(parents=True)
    (places.app / "configs" / "storage.yaml").write_text("sealed: local\n")
    assert [level for level, _, _ in storage_keys.look(places)] == ["ok"]
    where = (
        f"sealed: s3://{SEALED}/{prefix}\nregion: {REGION}\nendpoint: http://{HOST}:{objects.relay.port}\n"
    )
    (places.app / "configs" / "storage.yaml").write_text(where)
    keys = {"gate": objects.gate, "custodian": stranger(objects.custodian)}
    storage_keys.hand_over(places, one_user(os.getuid(), os.getgid()), keys)
    (says_bad, says_ok) = storage_keys.look(places)
    assert says_ok == ("ok", f"the gate's key reaches s3://{SEALED}: 0 datasets", "")
    assert says_bad[0] == "bad" and "refuses" in says_bad[1] and "--storage-keys" in says_bad[2]


def test_with_datasets_in_a_folder_no_service_loads_the_object_stores_libraries() -> None:
    programs = "sandbox.gate.__main__, sandbox.custodian.__main__, sandbox.deployment.up, sandbox.cli.main"
    look = f"import {programs}, sys; print(*{{'s3fs', 'botocore', 'aiobotocore'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

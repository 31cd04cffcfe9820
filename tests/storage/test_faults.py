"""An object store that fails: what time may mend is tried again, a number of times; the rest is one clear error."""

from __future__ import annotations

import hashlib
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox.errors import Conflict, SandboxError, SealBroken, Unreachable
from sandbox.storage.bucket import PART_BYTES
from sandbox.storage.credential import StorageKey
from sandbox.storage.patience import Answered, Fault, Patience, fault_of
from tests.fakes.relay import Meddling
from tests.fakes.s3 import BROKEN, BUSY, DONE, S3, stranger

NAME = "index/1.sealed"


@pytest.fixture
def bucket(objects: S3, prefix: str, tmp_path: Path):
    bucket = objects.bucket(prefix, spool=tmp_path)
    bucket.publish(NAME, b"0123456789")
    objects.network.seen.clear()
    return bucket


def requests(objects: S3, word: str, prefix: str) -> int:
    """How many requests of this kind came; one that an earlier test gave up may come late."""
    return sum(line.startswith(word) and prefix in line.replace("%2F", "/") for line in objects.network.seen)


@pytest.mark.parametrize("answer", [BUSY, BROKEN], ids=["503", "500"])
def test_a_store_that_is_busy_is_asked_again(objects: S3, bucket, answer: bytes) -> None:
    objects.network.answers(answer, 2)
    assert bucket.read(NAME, 0, 4) == b"0123"
    objects.network.answers(answer, 2)
    assert bucket.names("index") == ["1.sealed"]
    objects.network.answers(answer, 2)
    bucket.publish("index/2.sealed", b"x")


@pytest.mark.parametrize("answer", [BUSY, BROKEN], ids=["503", "500"])
def test_a_store_that_stays_busy_is_one_error_after_a_number_of_attempts(
    objects: S3, bucket, prefix: str, answer: bytes
) -> None:
    objects.network.answers(answer, 99)
    with pytest.raises(Unreachable) as caught:
        bucket.read(NAME, 0, 4)
    assert requests(objects, "GET", prefix) == 3
    assert caught.value.code == "storage.unreachable" and NAME in caught.value.message and caught.value.mend


def test_an_answer_that_breaks_off_is_asked_for_again(objects: S3, bucket) -> None:
    objects.network.coming += ["lost", "cut"]
    assert bucket.read(NAME, 0, 10) == b"0123456789"


def test_waits_grow_are_drawn_and_end() -> None:
    waits: list[float] = []
    patience = Patience(10, sleep=waits.append, draw=lambda: 1.0)
    with pytest.raises(Unreachable, match="10 times"):
        patience.ask("x", lambda: 1 / 0)
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    waits.clear()
    with pytest.raises(Unreachable):
        Patience(3, sleep=waits.append, draw=lambda: 0.0).ask("x", lambda: 1 / 0)
    assert waits == [0.05, 0.1]


def test_nobody_there_is_one_error(objects: S3, prefix: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    relay, objects.relay = objects.relay, type("Nobody", (), {"port": port, "delay_s": 0.0})()
    try:
        bucket = objects.bucket(prefix)
    finally:
        objects.relay = relay
    for ask in (
        lambda: bucket.read(NAME, 0, 1),
        lambda: bucket.names("index"),
        lambda: bucket.publish(NAME, b"x"),
    ):
        with pytest.raises(Unreachable) as caught:
            ask()
        assert caught.value.code == "storage.unreachable"


@pytest.mark.parametrize("method", ["read", "publish", "names", "size"])
def test_a_server_that_hangs_is_left_after_a_while(objects: S3, prefix: str, method: str) -> None:
    bucket = objects.bucket(prefix, attempts=2)
    bucket._timeout_s = 0.3
    objects.relay.delay_s = 30.0
    ask = {"read": (NAME, 0, 1), "publish": (NAME, b"x"), "names": ("index",), "size": (NAME,)}[method]
    started = time.monotonic()
    with pytest.raises(Unreachable, match="TimeoutError, 2 times"):
        getattr(bucket, method)(*ask)
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("which", ["unknown id", "wrong secret"])
def test_a_wrong_key_is_refused_at_once_and_never_quoted(
    objects: S3, bucket, prefix: str, which: str
) -> None:
    key = (
        stranger(objects.gate) if which == "wrong secret" else StorageKey("AKNOBODY", "hidden-from-everybody")
    )
    wrong = objects.bucket(prefix, key)
    for word, ask in (
        ("GET", lambda: wrong.read(NAME, 0, 1)),
        ("HEAD", lambda: wrong.size(NAME)),
        ("GET", lambda: wrong.names("index")),
        ("PUT", lambda: wrong.publish("keys/1.json", b"x")),
    ):
        objects.network.seen.clear()
        with pytest.raises(Unreachable) as caught:
            ask()
        assert caught.value.code == "storage.refused" and "--storage-keys" in caught.value.mend
        assert requests(objects, word, prefix) == 1
        assert key.secret not in f"{caught.value!r}{caught.value.mend}{caught.value.__context__!r}{key!r}"
        assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_the_gates_key_reads_and_cannot_write_or_remove(objects: S3, bucket, prefix: str) -> None:
    gate = objects.bucket(prefix, objects.gate)
    assert gate.read(NAME, 0, 2) == b"01" and gate.names("index") == ["1.sealed"]
    for ask in (lambda: gate.publish("index/2.sealed", b"x"), lambda: gate.discard(NAME)):
        with pytest.raises(Unreachable) as caught:
            ask()
        assert caught.value.code == "storage.refused"
    assert bucket.read(NAME, 0, 2) == b"01"


def test_who_only_reads_begins_no_object(objects: S3, prefix: str) -> None:
    with pytest.raises(SandboxError, match="for reading"):
        objects.bucket(prefix).partial("shards")


def test_a_missing_bucket_is_no_empty_dataset(objects: S3, prefix: str, tmp_path: Path) -> None:
    bucket = objects.bucket(prefix, spool=tmp_path)
    bucket._bucket = "nowhere-to-be-found"
    for ask in (
        lambda: bucket.names("index"),
        lambda: bucket.publish(NAME, b"x"),
        lambda: bucket.read(NAME, 0, 1),
    ):
        with pytest.raises(Unreachable) as caught:
            ask()
        assert caught.value.code == "storage.no_bucket"


def test_a_publication_whose_answer_was_lost_is_found_done(objects: S3, bucket) -> None:
    objects.network.coming.append("lost")
    bucket.publish("keys/1.json", b"mine")
    assert bucket.read("keys/1.json", 0, 4) == b"mine"


def test_a_name_taken_by_another_meanwhile_stays_the_others(objects: S3, bucket) -> None:
    objects.network.answers(BUSY)
    bucket_of_another = objects.behind()
    key = bucket._key("keys/1.json")
    for other in (b"hers", b"longer"):
        bucket_of_another.put_object(Bucket="sealed", Key=key, Body=other)
        objects.network.answers(BUSY)
        with pytest.raises(Conflict):
            bucket.publish("keys/1.json", b"mine")
        assert bucket.read("keys/1.json", 0, len(other)) == other


def test_a_store_that_overwrites_is_found_out(objects: S3, bucket) -> None:
    bucket.check_conditions(".conditions")
    objects.network.coming += ["plain", "plain", Meddling(b"", DONE)]  # remove, put, put again
    with pytest.raises(Unreachable) as caught:
        bucket.check_conditions(".conditions")
    assert caught.value.code == "storage.overwrites"
    assert bucket.names("") == []


def test_a_large_shard_goes_in_parts_whole_or_not_at_all(objects: S3, bucket) -> None:
    data = hashlib.sha256(b"x").digest() * (1 << 20)  # 32 MiB
    assert len(data) >= 2 * PART_BYTES
    name = f"shards/{hashlib.sha256(data).hexdigest()}.tar"

    def grow(last: bytes = b""):
        partial = bucket.partial("shards")
        partial.write(data[: len(data) - len(last)] + last)
        return partial

    objects.network.coming += [
        "plain",
        "plain",
        "lost",
    ]  # one part's answer is lost: that attempt is given up
    grow().publish(name)
    assert bucket.size(name) == len(data)
    assert bucket.read(name, len(data) - 5, 5) == data[-5:]
    grow().publish(name)  # the very same bytes
    with pytest.raises(Conflict):
        grow(b"other").publish(name)
    uploads = objects.behind().list_multipart_uploads(Bucket="sealed").get("Uploads", [])
    assert [upload for upload in uploads if upload["Key"].endswith(name)] == []


def test_long_listings_are_read_to_their_end(objects: S3, prefix: str) -> None:
    client, bucket = objects.behind(), objects.bucket(prefix)
    keys = [f"{prefix}/index/{number}.sealed" for number in range(1_005)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: client.put_object(Bucket="sealed", Key=key, Body=b""), keys))
    assert len(bucket.names("index")) == 1_005


def test_a_directory_marker_is_no_object(objects: S3, prefix: str) -> None:
    key = f"{prefix}/{NAME}"
    objects.behind().put_object(Bucket="sealed", Key=key, Body=b"", ContentType="application/x-directory")
    with pytest.raises(SealBroken) as caught:
        objects.bucket(prefix).size(NAME)
    assert caught.value.code == "seal.object_foreign"


class ClientError(Exception):
    def __init__(self, code: str, status: int) -> None:
        super().__init__("quotes the address")
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


@pytest.mark.parametrize(
    ("code", "status", "fault"),
    [
        ("NoSuchKey", 404, Fault.MISSING),
        ("NoSuchBucket", 404, Fault.NO_BUCKET),
        ("PreconditionFailed", 412, Fault.TAKEN),
        ("ConditionalRequestConflict", 409, Fault.PASSING),
        ("AccessDenied", 403, Fault.REFUSED),
        ("InvalidRange", 416, Fault.RANGE),
        ("SlowDown", 503, Fault.PASSING),
        ("SlowDown", 400, Fault.PASSING),
        ("TooManyRequests", 429, Fault.PASSING),
        ("InternalError", 500, Fault.PASSING),
        ("NotImplemented", 501, Fault.PASSING),
        ("InvalidArgument", 400, Fault.MISUNDERSTOOD),
        ("", 405, Fault.MISUNDERSTOOD),
    ],
)
def test_each_answer_has_its_meaning(code: str, status: int, fault: Fault) -> None:
    assert fault_of(ClientError(code, status))[0] is fault
    carried = OSError("as s3fs hands it on")
    carried.__cause__ = ClientError(code, status)
    assert fault_of(carried)[0] is fault


def test_a_code_of_the_stores_choosing_is_not_shown() -> None:
    assert fault_of(ClientError("\x1b[2J read this", 400)) == (Fault.MISUNDERSTOOD, "400")


def test_what_quotes_is_not_repeated() -> None:
    with pytest.raises(Answered) as caught:
        Patience(1).ask("x", lambda: (_ for _ in ()).throw(ClientError("InvalidArgument", 400)))
    assert caught.value.__context__ is None and "address" not in str(caught.value)

"""A real S3 server that asks for keys, and a relay before it that makes the faults of a network."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.bench.beside import HOST, running
from sandbox.deployment.settings import free_port
from sandbox.storage.credential import StorageKey
from sandbox.storage.patience import Patience
from sandbox.storage.root import BucketRoot
from sandbox.storage.settings import Location
from tests.fakes.relay import Meddling, Relay

if TYPE_CHECKING:
    from sandbox.storage.bucket import Bucket

BUCKET, REGION = "sealed", "us-east-1"
CUSTODIAN = ("s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
GATE = ("s3:GetObject", "s3:ListBucket")
BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
DONE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Network:
    """What happens to requests on their way, one after the other; then all goes well again."""

    coming: list[Meddling | str] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def __call__(self, head: bytes) -> Meddling:
        self.seen.append(head.split(b"\r\n")[0].decode())
        if not self.coming:
            return Meddling(head)
        fault = self.coming.pop(0)
        if fault == "plain":
            return Meddling(head)
        if fault == "lost":  # the server does as it was told, and nobody hears of it
            return Meddling(head, cut_after=0)
        if fault == "cut":
            return Meddling(head, cut_after=400)
        assert isinstance(fault, Meddling)
        return fault

    def answers(self, answer: bytes, times: int = 1) -> None:
        self.coming += [Meddling(b"", answer)] * times


@dataclass
class S3:
    """The server, its two keys, and the relay that every request of a test goes through."""

    port: int
    custodian: StorageKey
    gate: StorageKey
    admin: StorageKey
    relay: Relay
    network: Network

    def root(
        self, prefix: str, key: StorageKey | None = None, spool: Path | None = None, **changes: int
    ) -> BucketRoot:
        place = Location(
            BUCKET, prefix, REGION, f"http://{HOST}:{self.relay.port}", **{"timeout_s": 5, **changes}
        )
        return BucketRoot.connected(place, key or self.custodian, spool)

    def bucket(
        self, prefix: str, key: StorageKey | None = None, spool: Path | None = None, attempts: int = 3
    ) -> Bucket:
        """One dataset's objects; waits between attempts take no time."""
        from sandbox.storage.bucket import Bucket

        root = self.root(prefix, key, spool)
        return Bucket(
            root.system, root.location, prefix, Patience(attempts, sleep=lambda seconds: None), spool
        )

    def behind(self):
        """A client that goes straight to the server, to do what the product would not."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=f"http://{HOST}:{self.port}",
            region_name=REGION,
            aws_access_key_id=self.admin.id,
            aws_secret_access_key=self.admin.secret,
        )


@contextmanager
def s3() -> Iterator[S3]:
    import boto3

    port = free_port()
    with running("moto.server", "-H", HOST, "-p", port, port=port):
        iam = boto3.client(
            "iam",
            endpoint_url=f"http://{HOST}:{port}",
            region_name=REGION,
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        keys = [
            _key(iam, name, actions)
            for name, actions in (("custodian", CUSTODIAN), ("gate", GATE), ("admin", ("s3:*",)))
        ]
        iam.close()
        connection = http.client.HTTPConnection(HOST, port)
        connection.request("POST", "/moto-api/reset-auth", b"0")  # from here on, keys are asked for
        assert connection.getresponse().read()
        connection.close()
        network = Network()
        relay = Relay(port, meddle=network)
        server = S3(port, *keys, relay, network)
        server.behind().create_bucket(Bucket=BUCKET)
        yield server
        relay.close()


def stranger(key: StorageKey) -> StorageKey:
    """A key with the right name and another secret."""
    return replace(key, secret="x" * len(key.secret))


def _key(iam, name: str, actions: tuple[str, ...]) -> StorageKey:
    iam.create_user(UserName=name)
    made = iam.create_access_key(UserName=name)["AccessKey"]
    rules = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
    }
    iam.put_user_policy(UserName=name, PolicyName="sealed", PolicyDocument=json.dumps(rules))
    return StorageKey(made["AccessKeyId"], made["SecretAccessKey"])

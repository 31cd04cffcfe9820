"""The bench of an object store: its rows, and that the store it makes up serves what lies there and nothing else."""

from __future__ import annotations

import http.client
from pathlib import Path

from sandbox.bench import storing
from sandbox.bench.beside import HOST, running
from sandbox.deployment.settings import free_port


def test_reading_from_afar_is_held_against_plain_gets(tmp_path: Path) -> None:
    rows = storing.measure(tmp_path, records=20, rounds=1)
    assert [row.name.split(",")[0] for row in rows] == [
        "read in sequence",
        "the same",
        "records one by one",
        "records",
    ]
    assert rows[0].goal == ">= 0.8" and rows[0].ratio and rows[0].holds is (rows[0].ratio >= 0.8)
    assert all(row.value > 0 for row in rows)
    assert rows[2].value < 0.2 / 0.02, "each record waits for the distance"
    assert list(tmp_path.iterdir()) == []


def test_the_store_answers_late_and_from_its_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x").write_bytes(b"0123456789")
    (tmp_path / "out").write_bytes(b"no")
    with running("sandbox.bench.far", port := free_port(), 1, tmp_path / "in", port=port):
        connection = http.client.HTTPConnection(HOST, port, timeout=60)
        for path, status, body in (("/x", 206, b"234"), ("/../out", 404, b""), ("/%2e%2e/out", 404, b"")):
            connection.request("GET", path, headers={"Range": "bytes=2-4"})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (status, body)
        connection.close()

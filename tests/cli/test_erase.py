"""`sandbox erase`: who is asked in which order, and what is carried."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

LIST = b'{"payload":"1"}\n{"payload":"2"}\n'


@pytest.fixture
def services(gate, tmp_path, monkeypatch):
    """Gate and custodian answer as they do where all goes well; the folder is the test's own."""
    monkeypatch.chdir(tmp_path)

    def asked(request):
        people = json.loads(request.content)["subjects"]
        found = [{"dataset": "digits", "subject": name, "status": "barred"} for name in people]
        return httpx.Response(200, json={"erasures": found, "seq": 2})

    def receipt(request):
        return httpx.Response(200, json={"receipt": json.loads(request.content)["stage"]})

    def destroyed(request):
        line = {
            "event": "destroyed",
            "dataset": "digits",
            "subjects": len(json.loads(request.content)["speakers"]),
        }
        return httpx.Response(200, content=json.dumps(line).encode() + b"\n")

    def certified(request):
        made = [
            {"dataset": d, "subject": s, "certificate": s} for d, s in json.loads(request.content)["speakers"]
        ]
        return httpx.Response(200, json={"certificates": made})

    gate.answers |= {
        ("POST", "/v1/erasures"): asked,
        ("POST", "/v1/receipts"): receipt,
        ("POST", "/v1/erasures/destroy"): destroyed,
        ("POST", "/v1/erasures/certify"): certified,
        ("GET", "/v1/erasure-list"): httpx.Response(200, content=LIST),
    }
    return gate


def calls(gate):
    return [request.url.path.removeprefix("/v1/") for request in gate.asked]


def bodies(gate, path):
    return [json.loads(request.content) for request in gate.asked if request.url.path == f"/v1/{path}"]


def test_the_receipts_are_carried_in_order(sandbox, services):
    assert sandbox("erase", "spk_anna", "--yes").code == 0
    order = ["erasures", "receipts", "erasures/destroy", "receipts", "erasures/certify", "erasure-list"]
    assert calls(services) == order
    assert [body["stage"] for body in bodies(services, "receipts")] == ["settled", "tainted"]
    assert bodies(services, "erasures/destroy")[0]["receipts"] == ["settled"]
    assert bodies(services, "erasures/certify")[0]["receipts"] == ["tainted"]
    assert Path("erasure-spk_anna-digits.dsse.json").read_text() == "spk_anna"
    assert Path("erasures.jsonl").read_bytes() == LIST


def test_nothing_is_destroyed_while_the_gate_waits_for_a_run(sandbox, services, monkeypatch):
    from sandbox.cli import forgetting

    monkeypatch.setattr(forgetting, "PATIENCE_S", 0.0)
    services.answers["POST", "/v1/receipts"] = httpx.Response(200, json={"waiting": ["r-7f3k"]})
    said = sandbox("erase", "spk_anna", "--yes")
    assert said.code == 4 and "r-7f3k did not end" in said.err
    assert "erasures/destroy" not in calls(services)


def test_without_a_gate_the_reason_goes_to_the_custodian(sandbox, services):
    assert sandbox("erase", "spk_anna", "--yes", "--without-receipt", "its disk burned").code == 0
    assert "receipts" not in calls(services)
    body = bodies(services, "erasures/destroy")[0]
    assert (body["receipts"], body["without_receipt"]) == ([], "its disk burned")


def test_many_people_are_destroyed_in_one_call(sandbox, services):
    Path("leavers.txt").write_text(
        "# who left\n" + "".join(f"spk_p{n:04}\n" for n in range(120)) + "\nspk_p0000\n"
    )
    said = sandbox("--json", "erase", "--from", "leavers.txt")
    assert said.code == 0, said.err
    assert calls(services).count("erasures/destroy") == 1
    destroyed = bodies(services, "erasures/destroy")[0]
    assert len(destroyed["speakers"]) == 120 and len(destroyed["receipts"]) == 3
    assert [len(body["speakers"]) for body in bodies(services, "erasures/certify")] == [50, 50, 20]
    assert len(json.loads(said.out.splitlines()[-1])["erasures"]) == 120


@pytest.mark.parametrize(
    "words", [["erase"], ["erase", "--from", "nowhere.txt"]], ids=["nobody", "a file that is not there"]
)
def test_what_cannot_be_understood_asks_nobody(sandbox, services, words):
    assert sandbox(*words).code == 2 and services.asked == []


def test_a_kept_list_is_never_replaced_by_one_that_lacks_something_of_it(sandbox, services):
    Path("erasures.jsonl").write_bytes(LIST + b'{"payload":"3"}\n')
    said = sandbox("erase", "--list", "-o", "erasures.jsonl")
    assert said.code == 2 and "no beginning" in said.err
    assert Path("erasures.jsonl").read_bytes() == LIST + b'{"payload":"3"}\n'


def test_a_certificate_is_fetched_again(sandbox, services):
    found = {"certificates": [{"dataset": "digits", "subject": "spk_anna", "certificate": "again"}]}
    services.answers["GET", "/v1/certificates/spk_anna"] = httpx.Response(200, json=found)
    assert sandbox("erase", "--certificate", "spk_anna", "-o", "c.dsse.json").code == 0
    assert Path("c.dsse.json").read_text() == "again" and calls(services) == ["certificates/spk_anna"]

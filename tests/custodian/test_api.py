"""The routes: identity before anything else, bad input is one clear problem, a repeated call does nothing twice."""

import httpx
import pytest

from sandbox.errors import Conflict, NotFound, NotPermitted, Usage
from tests.fakes.served import served, speak
from tests.fakes.studio import STEWARD, consent, facts, upload, wave


@pytest.fixture
def socket(desk, tmp_path):
    with served(desk, tmp_path / "api.sock") as found:
        yield found


@pytest.fixture
def steward(socket):
    with speak(socket, STEWARD) as service:
        yield service


PATHS = ["agreements", "people", "access", "consents", "status", "erasures"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("who", ["eng.li", "a.stranger"])
def test_a_stranger_may_do_nothing(socket, path, who):
    with speak(socket, who) as service, pytest.raises(NotPermitted):
        service.post(f"/v1/{path}", {"subject": "spk_anna", "agreement": "dsa-2026-0001", "status": "active"})


@pytest.mark.parametrize("path", ["people", "access", "consents", "status", "erasures", "datasets"])
def test_a_stranger_reads_nothing(socket, path):
    with speak(socket, "a.stranger") as service, pytest.raises(NotPermitted):
        service.get(f"/v1/{path}")


def test_nobody_gets_in_without_a_token(socket):
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://custodian") as bare:
        assert bare.get("/v1/health").status_code == 200
        assert bare.get("/v1/datasets").status_code == 401
        assert bare.post("/v1/seals", content=b"x").status_code == 401


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "body", [{}, {"person": 3}, {"subject": ["x"]}, {"consents": [3]}, {"agreement": "a/b"}]
)
def test_bad_input_is_a_clear_refusal(steward, path, body):
    with pytest.raises((Usage, NotFound)) as caught:
        steward.post(f"/v1/{path}", body)
    assert caught.value.code != "internal.error"


def test_a_repeated_call_does_nothing_twice(steward, desk):
    first = steward.post("/v1/consents", {"consents": [consent()]}, idempotency_key="k1")
    assert steward.post("/v1/consents", {"consents": [consent()]}, idempotency_key="k1") == first
    assert len(desk.registers.entries("consent")) == 1


def test_a_first_password_is_answered_once(steward):
    person = {"person": "eng.li", "party": "B", "roles": ["ml_engineer"], "nda": {"expires": "2029-01-10"},
              "training": {"course": "x", "valid_until": "2027-01-12"}}  # fmt: skip
    assert steward.post("/v1/people", person, idempotency_key="k2")["password"]
    with pytest.raises(Conflict, match="told once"):
        steward.post("/v1/people", person, idempotency_key="k2")
    assert "password" not in steward.post("/v1/people", person, idempotency_key="k3")


def test_a_stranger_is_refused_before_the_upload_is_read(socket, desk):
    recordings = [(facts(n), wave(n)) for n in range(3)]
    with speak(socket, "eng.li") as service, pytest.raises(NotPermitted):
        list(service.stream("/v1/seals", upload(recordings)))
    assert not [path for path in desk.sealed.rglob("*") if path.is_file()]


def test_lists_are_pages(steward, desk, monkeypatch):
    monkeypatch.setattr("sandbox.custodian.reads.PAGE", 2)
    steward.post("/v1/consents", {"consents": [consent(f"spk_s{n}") for n in range(5)]})
    assert [entry["subject"] for entry in steward.pages("/v1/consents")] == [f"spk_s{n}" for n in range(5)]
    assert [entry["subject"] for entry in steward.pages("/v1/consents", {"subject": "spk_s3"})] == ["spk_s3"]


def test_an_unknown_dataset_is_not_found(steward):
    for ask in (
        lambda: steward.get("/v1/datasets/others"),
        lambda: list(steward.stream("/v1/datasets/others/verify", [])),
    ):
        with pytest.raises(NotFound):
            ask()


def test_identity_is_checked_on_every_route(desk):
    from sandbox.custodian.api import routes

    assert [route.path for route in routes(desk) if route.open] == ["/v1/health", "/healthz", "/readyz"]

"""What the operator sets: known keys within bounds, or the gate does not start."""

from __future__ import annotations

import json

import pytest

from sandbox.errors import Unreachable, Usage
from sandbox.gate.places import Places
from sandbox.gate.settings import load

GATE = "region: eu\nlimits: {run_time_max: 2h, wrap_ttl_s: 30}\n"


@pytest.fixture
def places(tmp_path):
    (tmp_path / "app" / "configs").mkdir(parents=True)
    places = Places(tmp_path)
    (places.app / "configs" / "public.yaml").write_text('digest: ""\n')
    (places.app / "public.json").write_text(json.dumps({"vault_addr": "https://127.0.0.1:8200"}))
    write(places, GATE)
    return places


def write(places: Places, text: str) -> None:
    (places.app / "configs" / "gate.yaml").write_text(text)


def test_what_is_not_said_has_a_default(places):
    found = load(places)
    assert (found.region, found.run_time_max_s, found.wrap_ttl_s) == ("eu", 7200, 30)
    assert (found.credential_ttl_s, found.reconnect_s, found.web_port, found.engine) == (
        300,
        60,
        8300,
        "podman",
    )


def test_what_up_found_out_wins_over_the_file(places):
    (places.app / "public.json").write_text(json.dumps({"web_port": 9001, "engine": "docker"}))
    assert (load(places).web_port, load(places).engine) == (9001, "docker")


@pytest.mark.parametrize(
    "text",
    [
        "limits: {}\n",
        GATE + "regions: [eu]\n",
        "region: eu\nlimits: {wrap_ttl_s: 9}\n",
        "region: eu\nlimits: {credential_ttl_s: 901}\n",
        "region: eu\nlimits: {live_runs_max: 0}\n",
        "region: eu\nweb: {port: 70000}\n",
        "region: eu\nregion: us\n",
    ],
    ids=[
        "no region",
        "an unknown key",
        "too short a wrap",
        "too long a credential",
        "no run",
        "no port",
        "twice",
    ],
)
def test_a_faulty_file_stops_the_gate(places, text):
    write(places, text)
    with pytest.raises(Usage, match=r"gate\.yaml"):
        load(places)


def test_before_up_has_published_nothing_is_served(places):
    (places.app / "public.json").unlink()
    with pytest.raises(Unreachable):
        load(places)
    (places.app / "configs" / "gate.yaml").unlink()
    with pytest.raises(Usage):
        load(places)

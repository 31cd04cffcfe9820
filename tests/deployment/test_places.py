"""All paths in one place, short enough for sockets, and the same ones that the client knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.client import Address
from sandbox.deployment.places import STATE_BYTES_MAX, SYSTEM_STATE, Places, default_state
from sandbox.errors import Usage


def test_a_state_path_of_sixty_bytes_is_the_longest() -> None:
    fits = Path("/" + "x" * (STATE_BYTES_MAX - 1))
    assert Places.at(fits).state == fits
    with pytest.raises(Usage, match="61 bytes") as caught:
        Places.at(Path("/" + "x" * STATE_BYTES_MAX))
    assert caught.value.code == "state.path_too_long" and caught.value.exit_code == 2


def test_bytes_are_counted_not_letters() -> None:
    with pytest.raises(Usage, match="bytes"):
        Places.at(Path("/" + "é" * 31))


def test_the_longest_socket_fits_below_the_longest_state() -> None:
    places = Places.at(Path("/" + "x" * (STATE_BYTES_MAX - 1)))
    sockets = [places.gate_socket, places.custodian_socket, places.launcher_socket, places.mlflow_socket]
    sockets.append(places.doors / "r-xxxxxx" / "events.sock")
    assert max(len(str(path)) for path in sockets) <= 107


@pytest.mark.parametrize(
    "path", ["relative/state", "/with space", "/with,comma", "/with=equals", "/with:colon", "/new\nline"]
)
def test_a_path_that_a_mount_or_setting_would_misread_is_refused(path: str) -> None:
    with pytest.raises(Usage):
        Places.at(Path(path))


def test_the_client_looks_where_the_services_are() -> None:
    state = Path("/var/lib/voice-sandbox")
    places, address = Places.at(state), Address.of(state)
    assert address.gate_socket == places.gate_socket
    assert address.custodian_socket == places.custodian_socket
    assert address.public == places.public
    assert address.vault_ca == places.ca


@pytest.mark.parametrize(
    ("uid", "environ", "expected"),
    [
        (0, {}, SYSTEM_STATE),
        (1000, {"XDG_STATE_HOME": "/home/li/.state"}, Path("/home/li/.state/voice-sandbox")),
        (1000, {"HOME": "/home/li"}, Path("/home/li/.local/state/voice-sandbox")),
        (0, {"VOICE_SANDBOX_STATE": "/srv/v"}, Path("/srv/v")),
    ],
)
def test_the_default_state_depends_on_who_asks(
    uid: int, environ: dict[str, str], expected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.deployment.places.SYSTEM_STATE", Path("/nowhere") if uid else SYSTEM_STATE)
    assert default_state(uid, environ) == expected

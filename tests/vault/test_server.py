"""The embedded server's process, its listener and its files."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from sandbox.deployment.vault_server import VaultServer, find_bao, health, start_server, stop, write_files
from sandbox.deployment.vault_tls import LIFE, expires_at, make_tls
from sandbox.errors import Unreachable, Usage, VaultUnreachable
from tests.vault.plugin import RealVault, place

NOW = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.mark.needs_vault
def test_the_process_dumps_no_core_and_inherits_no_environment(real_vault: RealVault) -> None:
    proc = Path("/proc") / str(real_vault.process.pid)
    limit = next(line for line in (proc / "limits").read_text().splitlines() if "core file" in line)
    assert limit.split()[4:6] == ["0", "0"]
    assert (proc / "environ").read_bytes() == b"GOTRACEBACK=none\0"


@pytest.mark.needs_vault
@pytest.mark.skipif(os.getuid() != 0, reason="only root may start it as another user")
def test_it_runs_as_its_own_user_in_no_other_group() -> None:
    root = Path(tempfile.mkdtemp(prefix="vs-vault-"))
    try:
        root.chmod(0o755)
        program = Path(shutil.copy(find_bao(), root / "bao"))  # where that user may go, wherever we lie
        server = replace(place(root), uid=65534, gid=65534, bao=program)
        os.chown(server.audit_log.parent, 65534, 65534)
        process = start_server(server, root / "vault.log")
        try:
            status = (Path("/proc") / str(process.pid) / "status").read_text()
        finally:
            stop(process)
    finally:
        shutil.rmtree(root)
    assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert "Gid:\t65534\t65534\t65534\t65534" in status
    assert "\nGroups:\t \n" in status


@pytest.mark.needs_vault
def test_it_speaks_tls_13_only_and_under_its_three_names(real_vault: RealVault) -> None:
    context = ssl.create_default_context(cadata=real_vault.ca_pem)
    for name in ("127.0.0.1", "localhost", "vault.voice-sandbox"):
        with (
            socket.create_connection(("127.0.0.1", real_vault.server.port)) as line,
            context.wrap_socket(line, server_hostname=name) as tls,
        ):
            assert tls.version() == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(("127.0.0.1", real_vault.server.port)) as line, pytest.raises(ssl.SSLError):
        context.wrap_socket(line, server_hostname="localhost")


@pytest.mark.needs_vault
def test_a_stranger_with_another_ca_is_not_spoken_to(real_vault: RealVault, tmp_path: Path) -> None:
    other = tmp_path / "ca.pem"
    other.write_bytes(make_tls(datetime.now(UTC)).ca)
    with pytest.raises(VaultUnreachable):
        health(real_vault.addr, other)


@pytest.mark.needs_vault
def test_a_taken_port_is_told_at_once(real_vault: RealVault, tmp_path: Path) -> None:
    server = place(tmp_path)
    taken = VaultServer(
        server.directory,
        server.audit_log,
        server.ca,
        server.templates,
        real_vault.server.port,
        server.cluster_port,
    )
    with pytest.raises(VaultUnreachable):
        start_server(taken, tmp_path / "vault.log", wait_s=20)


def test_files_stay_when_written_again_until_the_certificate_ages(tmp_path: Path) -> None:
    server = place(tmp_path)
    write_files(server, NOW)
    kept = {path: path.read_bytes() for path in server.directory.rglob("*") if path.is_file()}
    write_files(server, NOW)
    assert {path: path.read_bytes() for path in kept} == kept
    write_files(server, NOW + LIFE)
    renewed = {path.name for path, held in kept.items() if path.read_bytes() != held}
    assert renewed == {"ca.pem", "server.pem", "server.key"}
    assert server.ca.read_bytes() == (server.directory / "tls" / "ca.pem").read_bytes()


def test_a_renewal_cut_short_is_made_whole_at_the_next_start(tmp_path: Path) -> None:
    server = place(tmp_path)
    write_files(server, NOW)
    (server.directory / "tls" / "server.pem").unlink()  # what remains of a renewal that was killed
    write_files(server, NOW)
    ca = x509.load_pem_x509_certificate(server.ca.read_bytes())
    x509.load_pem_x509_certificate(
        (server.directory / "tls" / "server.pem").read_bytes()
    ).verify_directly_issued_by(ca)


def test_a_lost_seal_key_is_never_replaced_by_a_new_one(tmp_path: Path) -> None:
    server = place(tmp_path)
    write_files(server, NOW)
    (server.directory / "raft" / "vault.db").write_bytes(b"x")
    (server.directory / "seal" / "1.key").unlink()
    with pytest.raises(Unreachable, match=r"1\.key is gone"):
        write_files(server, NOW)


@pytest.mark.parametrize("name", ['a"b', "a\nb", "a${x}", "a%b"])
def test_a_path_cannot_add_to_the_configuration(tmp_path: Path, name: str) -> None:
    root = tmp_path / name
    root.mkdir()
    with pytest.raises(Usage):
        write_files(place(root), NOW)


def test_the_ca_vouches_for_this_machine_only() -> None:
    made = make_tls(NOW)
    ca = x509.load_pem_x509_certificate(made.ca)
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    assert {str(name.value) for name in constraints.value.permitted_subtrees or ()} == {
        "localhost",
        "vault.voice-sandbox",
        "127.0.0.1/32",
    }
    assert expires_at(made.certificate) == NOW + LIFE
    assert "PRIVATE" not in repr(made)

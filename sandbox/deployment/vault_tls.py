"""The embedded Vault's certificate: one CA that signs one server certificate and is then forgotten.

The CA's private key is never written, and its name constraints hold it to this machine's names, so the CA that
every keeper trusts can vouch for nothing else. Renewal makes a new CA, hence new trust anchors (and a new image layer).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=1825)
RENEW_BEFORE = timedelta(days=60)
NAMES = ("localhost", "vault.voice-sandbox")
ADDRESS = ipaddress.IPv4Address("127.0.0.1")


@dataclass(frozen=True)
class ServerTls:
    """PEM bytes: the CA and the server's certificate are public, ``key`` is not."""

    ca: bytes
    certificate: bytes
    key: bytes

    def __repr__(self) -> str:
        return "ServerTls(…)"


def make_tls(now: datetime) -> ServerTls:
    """A fresh CA (its key dies with this call) and a server certificate for this machine's names."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("voice-sandbox Vault CA")
    permitted = [x509.DNSName(name) for name in NAMES]
    network = x509.IPAddress(ipaddress.IPv4Network((ADDRESS, 32)))
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key(), ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.NameConstraints([*permitted, network], None), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    certificate = (
        _certificate(_name("voice-sandbox Vault"), ca_name, key.public_key(), ca_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([*permitted, x509.IPAddress(ADDRESS)]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    return ServerTls(
        ca=ca.public_bytes(Encoding.PEM),
        certificate=certificate.public_bytes(Encoding.PEM),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def expires_at(certificate_pem: bytes) -> datetime:
    """When a certificate ends, in UTC; the epoch when it is unreadable, so that it is made anew."""
    try:
        return x509.load_pem_x509_certificate(certificate_pem).not_valid_after_utc
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )

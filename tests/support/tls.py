"""A certificate authority of the tests' own, and HTTPS servers with a certificate of it for 127.0.0.1."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Authority:
    """The authority's certificate, and the server's certificate and key, as PEM files."""

    certificate: Path
    server_certificate: Path
    server_key: Path

    def context(self) -> ssl.SSLContext:
        """What a server wraps its socket with."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server_certificate, self.server_key)
        return context


def make_authority(directory: Path) -> Authority:
    """Make an authority whose files are in `directory`."""
    authority_key, server_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of the tests")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])

    def certificate(
        name: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(extension, critical=True)
            .sign(authority_key, hashes.SHA256())
        )

    made = Authority(directory / "authority.pem", directory / "server.pem", directory / "server.key")
    of_authority = certificate(authority_name, authority_key, x509.BasicConstraints(ca=True, path_length=None))
    made.certificate.write_bytes(of_authority.public_bytes(serialization.Encoding.PEM))
    of_server = certificate(server_name, server_key, address)
    made.server_certificate.write_bytes(of_server.public_bytes(serialization.Encoding.PEM))
    made.server_key.write_bytes(
        server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return made

"""The certificate authorities that HTTPS connections trust: one file for every client of the program.

The clients look in different variables of the environment, so each of them is given the file that any of these names.
It takes the place of the system's authorities: a private authority is added to a copy of the system's file.
"""

from __future__ import annotations

import os
from pathlib import Path

from bronze.errors import ConfigError

#: The first that is set counts.
VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE")
#: What to do about a certificate that is not trusted.
REMEDY = (
    "if a private authority issued the server's certificate, set SSL_CERT_FILE to a PEM file with that authority's"
    " certificate"
)


def ca_bundle() -> str | None:
    """The file (or directory) with the trusted authorities; None: those of the system.

    Raises:
        ConfigError: the environment names one that does not exist.
    """
    for variable in VARIABLES:
        if path := os.environ.get(variable):
            if not Path(path).exists():
                raise ConfigError(f"the environment variable {variable} names {path!r}, which does not exist")
            return path
    return None


def ca_certificates() -> bytes | None:
    """The trusted authorities in PEM; None: those of the system, or a directory.

    Raises:
        ConfigError: the environment names a file that cannot be read.
    """
    path = ca_bundle()
    if path is None or Path(path).is_dir():
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"the certificates in {path} cannot be read: {error.strerror}") from None


def is_certificate_error(text: str) -> bool:
    """Whether a client's message says that it does not trust the server's certificate."""
    return "certificate verify failed" in text.lower() or "InvalidCertificate(" in text

"""Who vouches for the certificate that a peer or a mail server shows."""

from __future__ import annotations

import os
import ssl
from functools import cache
from pathlib import Path

from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.util.ssl_ import create_urllib3_context


def for_peers(ca_file: Path | None) -> ssl.SSLContext:
    """Return what every https connection is made with: reading the authorities takes 20 ms.

    The system's authorities are trusted, or those that ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``
    name in their place, and those of ``ca_file`` besides.
    """
    return _for_peers(ca_file, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _for_peers(ca_file: Path | None, *_environ: str | None) -> ssl.SSLContext:
    return _trust(create_urllib3_context(), ca_file)


def for_mail(ca_file: Path | None) -> ssl.SSLContext:
    """Return what a connection to a mail server is made with; the same are trusted."""
    return _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca_file)


def _trust(context: ssl.SSLContext, ca_file: Path | None) -> ssl.SSLContext:
    if _has_system():
        context.load_default_certs()
    else:  # a bare container: those that browsers trust, as a library brings them along
        context.load_verify_locations(DEFAULT_CA_BUNDLE_PATH)
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _has_system() -> bool:
    paths = ssl.get_default_verify_paths()
    return bool(paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())))

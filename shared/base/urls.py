"""The addresses of services."""

from __future__ import annotations

from urllib.parse import urlsplit


def http_url(url: str, *, plain: bool) -> str:
    """Return the URL of a service, without a trailing slash. Raises ValueError with a code.

    https only, and no user, query or fragment; ``plain`` allows http too.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise ValueError("url-malformed") from None
    if parts.scheme not in (("https", "http") if plain else ("https",)):
        raise ValueError("url-not-https")
    if not parts.hostname or parts.username or parts.query or parts.fragment or port == 0:
        raise ValueError("url-malformed")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"

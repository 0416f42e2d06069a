from __future__ import annotations

import re

import httpx2

from outbound.hosts import host_of, port_of

NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f\\]")


def parse_url(text: str) -> httpx2.URL:
    """Raises ValueError, in words that do not repeat the URL."""
    if NOT_IN_A_URL.search(text):
        raise ValueError("a URL holds no spaces, backslashes or control characters: encode them")
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        raise ValueError("expected an absolute http or https URL") from None
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("expected an absolute http or https URL")
    if url.userinfo:
        raise ValueError("credentials do not belong into a URL: send an Authorization header")
    host_of(url)
    if not 0 < port_of(url) < 65536:
        raise ValueError("a port is a number from 1 to 65535")
    return url.copy_with(fragment=None)

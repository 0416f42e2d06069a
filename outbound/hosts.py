"""Where a name may lead: `host`, `host:port`, `*.example.com`, `[::1]:8080`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

import httpx2

HOST_NAME = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*")
DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class HostPattern:
    host: str
    port: int | None
    subdomains: bool

    @classmethod
    def parse(cls, text: str) -> HostPattern:
        """Raises ValueError; a pattern without a port stands for every port."""
        bare = text.strip().removeprefix("*.")
        if _is_address(bare) and ":" in bare:
            bare = f"[{bare}]"
        try:
            url = httpx2.URL(f"//{bare}")
            host = host_of(url)
        except (httpx2.InvalidURL, ValueError):
            host, url = "", httpx2.URL("")
        valid_port = url.port is None or 0 < url.port < 65536
        subdomains = text.strip().startswith("*.")
        plain = url.raw_path in (b"", b"/") and not url.userinfo and not url.fragment
        if not host or not plain or not valid_port or (subdomains and _is_address(host)):
            raise ValueError(f"expected host, host:port or *.host, got {text[:80]!r}")
        return cls(host, url.port, subdomains)

    def matches(self, host: str, port: int) -> bool:
        named = host.endswith(f".{self.host}") if self.subdomains else host == self.host
        return named and self.port in (None, port)


def host_of(url: httpx2.URL) -> str:
    """One spelling for each host; raises ValueError where there is none."""
    return canonical(url.raw_host.decode("ascii"))


def canonical(host: str) -> str:
    host = host.lower().removesuffix(".")
    if ":" in host:
        address = ipaddress.IPv6Address(host)
        if address.scope_id:
            raise ValueError("an address with a zone cannot be reached from here")
        return str(address)
    if len(host) > 253 or not HOST_NAME.fullmatch(host):
        raise ValueError("this is not the name of a host")
    return host


def port_of(url: httpx2.URL) -> int:
    return DEFAULT_PORTS.get(url.scheme, 0) if url.port is None else url.port


def may_go_to(url: httpx2.URL, hosts: Iterable[str]) -> bool:
    """Whether one of these patterns names where a URL leads."""
    host, port = host_of(url), port_of(url)
    return any(_leads_to(pattern, host, port) for pattern in hosts)


def _leads_to(pattern: str, host: str, port: int) -> bool:
    try:
        return HostPattern.parse(pattern).matches(host, port)
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True

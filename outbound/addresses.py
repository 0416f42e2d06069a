"""Which addresses may be connected to."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from core.errors import AddressRefused
from outbound.hosts import HostPattern, canonical

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
Endpoint = tuple[str, int]

# IANA's special-purpose registries, by our own hand: `is_global` differs between patch releases.
NOT_PUBLIC_4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host answers here, inside every virtual machine
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
PUBLIC_6 = IPv6Network("2000::/3")
NOT_PUBLIC_6 = tuple(
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20")
)
NAT64 = IPv6Network("64:ff9b::/96")
NUMERIC = re.compile(r"(.*\.)?(\d+|0x[0-9a-f]*)")


async def resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    match _inner(address):
        case IPv4Address() as inner:
            return not any(inner in network for network in NOT_PUBLIC_4)
        case inner:
            return (
                inner in PUBLIC_6
                and not inner.scope_id
                and not any(inner in network for network in NOT_PUBLIC_6)
            )


def is_of_this_machine(address: str) -> bool:
    inner = _inner(address)
    if inner.is_loopback or inner.is_unspecified:
        return True
    family = socket.AF_INET if inner.version == 4 else socket.AF_INET6
    # Only a machine's own addresses can be bound; there is no portable list of interfaces.
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(inner), 0))
    except OSError:
        return False
    return True


class Guard:
    """Says where a connection may go, before each one is made.

    `allowed` hosts may be private; `refused` endpoints are ours and are never reached.
    """

    def __init__(
        self, allowed: Iterable[str], refused: Iterable[Endpoint], resolve: Resolve = resolve
    ) -> None:
        self._allowed = tuple(HostPattern.parse(host) for host in allowed)
        self._refused = frozenset((canonical(host.strip("[]")), port) for host, port in refused)
        self._resolve = resolve

    def allows(self, host: str, port: int) -> bool:
        """Whether an operator named it."""
        return any(pattern.matches(host, port) for pattern in self._allowed)

    async def admit(self, host: str, port: int) -> Sequence[str]:
        """The addresses that may be connected to; raises OSError where the name has none."""
        host = canonical(host)
        if NUMERIC.fullmatch(host) and not _is_dotted(host):
            raise AddressRefused(f"{host} is an unusual spelling of an address: write four numbers")
        addresses = await self._resolve(host, port)
        await self._refuse_ours(host, port, addresses)
        if self.allows(host, port):
            return addresses
        public = [address for address in addresses if is_public(address)]
        if not public:
            # Where a private name leads is not told: it would map the network behind us.
            raise AddressRefused(
                f"{host}:{port} is not on the public internet;"
                " an operator may allow it with PERDURE_HTTP_ALLOWED_HOSTS"
            )
        return public

    async def _refuse_ours(self, host: str, port: int, addresses: Sequence[str]) -> None:
        names = [name for name, refused in self._refused if refused == port]
        if not names:
            return
        ours = host in names or any(is_of_this_machine(address) for address in addresses)
        if ours or {_inner(a) for a in addresses} & await self._addresses_of(names, port):
            raise AddressRefused(f"{host}:{port} belongs to Perdure itself")

    async def _addresses_of(
        self, names: Iterable[str], port: int
    ) -> set[IPv4Address | IPv6Address]:
        found: set[IPv4Address | IPv6Address] = set()
        for name in names:
            try:
                found.update(_inner(address) for address in await self._resolve(name, port))
            except OSError:
                continue  # A name that leads nowhere cannot be reached by another name either.
        return found


def _inner(address: str) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one carries, where it carries one."""
    outer = ipaddress.ip_address(address)
    if isinstance(outer, IPv4Address):
        return outer
    if outer in NAT64:
        return IPv4Address(int(outer) & 0xFFFFFFFF)
    return outer.ipv4_mapped or outer.sixtofour or outer


def _is_dotted(host: str) -> bool:
    try:
        IPv4Address(host)
    except ValueError:
        return False
    return True

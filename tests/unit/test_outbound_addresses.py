from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from core.errors import AddressRefused
from outbound.addresses import Guard, is_of_this_machine, is_public, resolve
from outbound.hosts import HostPattern

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLIC = [
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450:4001::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
]
NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.1.2.3",
    "100.64.0.1",
    "100.127.255.255",
    "127.0.0.1",
    "127.8.8.8",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_may_be_reached(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_that_is_not_public_may_not_be_reached(address: str) -> None:
    assert not is_public(address)


def answering(**names: Sequence[str]):
    async def resolve(host: str, port: int) -> Sequence[str]:
        if host not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return names[host]

    return resolve


async def test_of_several_addresses_only_the_public_ones_are_used() -> None:
    guard = Guard((), (), answering(mixed=["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1"]))
    assert await guard.admit("mixed", 443) == ["8.8.8.8", "2606:4700::1"]


async def test_a_name_that_leads_inside_is_refused_without_telling_where() -> None:
    guard = Guard((), (), answering(inside=["10.20.30.40", "fd00::1"]))
    with pytest.raises(AddressRefused, match="inside:443 is not on the public internet") as caught:
        await guard.admit("inside", 443)
    assert "10.20" not in str(caught.value)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f.1",
        "0x7f000001",
        "127.1",
        "0177.0.0.1",
        "127.0.0.0x1",
        "134744072",
        "0",
        "127.0.0.1.",
        "08.8.8.8",
        "1.2.3.4.5",
        "a.0x10",
    ],
)
async def test_an_odd_spelling_of_an_address_is_refused(host: str) -> None:
    # Even where the system's own resolver would understand it.
    with pytest.raises(AddressRefused):
        await Guard((), ()).admit(host, 80)


async def test_an_allowed_host_may_be_private_on_its_port_only() -> None:
    names = answering(**{"db": ["10.0.0.5"], "crm.corp": ["10.0.0.6"], "eu.crm.corp": ["10.0.0.7"]})
    guard = Guard({"db:8080", "CRM.corp."}, (), names)
    assert await guard.admit("db", 8080) == ["10.0.0.5"]
    assert await guard.admit("crm.corp", 1234) == ["10.0.0.6"]
    assert await guard.admit("CRM.CORP.", 80) == ["10.0.0.6"]
    for host, port in (("db", 80), ("eu.crm.corp", 80)):
        with pytest.raises(AddressRefused):
            await guard.admit(host, port)


async def test_another_name_of_an_allowed_address_is_refused() -> None:
    guard = Guard({"127.0.0.1"}, (), answering(sneaky=["127.0.0.1"]))
    with pytest.raises(AddressRefused):
        await guard.admit("sneaky", 80)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
)
async def test_our_own_ports_are_refused_on_this_machine_even_if_allowed(address: str) -> None:
    guard = Guard({"here"}, {("temporal.corp", 7233)}, answering(here=["10.1.1.1", address]))
    with pytest.raises(AddressRefused, match="belongs to Perdure"):
        await guard.admit("here", 7233)
    assert await guard.admit("here", 7234)


async def test_our_own_endpoints_are_refused_by_every_name_they_have() -> None:
    names = {"pg.corp": ["10.0.0.5"], "alias": ["::ffff:10.0.0.5"], "other": ["10.0.0.6"]}
    guard = Guard({"pg.corp", "alias", "other"}, {("PG.corp", 5432)}, answering(**names))
    for host in ("pg.corp", "alias"):
        with pytest.raises(AddressRefused, match="belongs to Perdure"):
            await guard.admit(host, 5432)
    assert await guard.admit("pg.corp", 443) == ["10.0.0.5"]
    assert await guard.admit("other", 5432) == ["10.0.0.6"]


async def test_an_endpoint_of_ours_that_does_not_resolve_is_no_obstacle() -> None:
    guard = Guard((), {("gone.corp", 443)}, answering(api=["8.8.8.8"]))
    assert await guard.admit("api", 443) == ["8.8.8.8"]


def test_the_addresses_of_this_machine_are_known() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        if probe.connect_ex(("192.0.2.1", 9)):  # nothing is sent; it picks the way out
            pytest.skip("this machine has no network")
        assert is_of_this_machine(probe.getsockname()[0])
    assert not is_of_this_machine("192.0.2.1")
    assert not is_of_this_machine("2001:db8::1")


async def test_names_are_resolved_by_the_system() -> None:
    assert "127.0.0.1" in await resolve("localhost", 80)


@pytest.mark.parametrize(
    ("pattern", "host", "port"),
    [
        ("api.example.com", "api.example.com", 443),
        ("API.Example.com.", "api.example.com", 8443),
        ("api.example.com:8443", "api.example.com", 8443),
        ("*.example.com", "api.example.com", 443),
        ("*.example.com", "a.b.example.com", 443),
        ("*.example.com:443", "api.example.com", 443),
        ("bücher.de", "xn--bcher-kva.de", 443),
        ("127.0.0.1:80", "127.0.0.1", 80),
        ("[::1]:8080", "::1", 8080),
        ("::1", "::1", 8080),
        ("0:0:0:0:0:0:0:1", "::1", 1),
    ],
)
def test_a_host_pattern_matches(pattern: str, host: str, port: int) -> None:
    assert HostPattern.parse(pattern).matches(host, port)


@pytest.mark.parametrize(
    ("pattern", "host", "port"),
    [
        ("example.com", "api.example.com", 443),
        ("example.com", "badexample.com", 443),
        ("api.example.com:8443", "api.example.com", 443),
        ("*.example.com", "example.com", 443),
        ("*.example.com", "badexample.com", 443),
        ("*.example.com", "example.com.evil.org", 443),
        ("*.example.com:443", "api.example.com", 80),
    ],
)
def test_a_host_pattern_matches_nothing_else(pattern: str, host: str, port: int) -> None:
    assert not HostPattern.parse(pattern).matches(host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "*.",
        "https://example.com",
        "example.com/x",
        "a b",
        "me@example.com",
        "a*.com",
        "*.*.com",
        "example.com:x",
        "*.127.0.0.1",
        "::1%eth0",
        "a..b",
        "example.com?x",
        "[::1",
        "example.com:0",
        "example.com:70000",
        "example.com#x",
    ],
)
def test_what_is_no_host_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected host, host:port"):
        HostPattern.parse(text)

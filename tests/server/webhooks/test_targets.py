"""Where webhooks may go."""

from __future__ import annotations

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from laneway.errors import ConfigError, InputError
from laneway.server.webhooks.targets import CheckedResolver, Forbidden, Places, is_public

PUBLIC = Places([])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?x=1",
        "http://example.com:8080",
        "https://8.8.8.8/a",
        "https://[2606:4700::1111]/",
        "https://bücher.example/",
    ],
)
def test_public_addresses_are_taken(url: str) -> None:
    target = PUBLIC.target(url)
    assert PUBLIC.target(str(target)) == target, "it is kept as it was read"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/",
        "file:///etc/passwd",
        "//example.com/",
        "/hook",
        "https://",
        "https://user:pass@example.com/",
        "https://user@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://example.com\\@10.0.0.1/",
        "https://example.com/\n",
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://a.localhost/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://intranet/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.1.2.3/",
        "http://172.16.0.1/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://255.255.255.255/",
        "http://224.0.0.1/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[2002:7f00:1::]/",
        "http://[2001:0:7f00:1::]/",
        "http://[fe80::1]/",
        "http://[fe80::1%25eth0]/",
        "http://[fec0::1]/",
        "http://[fd00:ec2::254]/",
        "http://[ff02::1]/",
        "https://example.com/" + "x" * 2_000,
    ],
)
def test_what_is_not_public_is_refused_when_it_is_asked_for(url: str) -> None:
    with pytest.raises(InputError, match="webhook"):
        PUBLIC.target(url)


def test_listed_hosts_may_be_told() -> None:
    places = Places(["hooks.internal", "10.1.0.0/16", "::1", "192.168.0.7"])
    for url in ("http://hooks.internal/", "http://HOOKS.internal.:80/", "http://10.1.2.3/", "http://[::1]:80/"):
        places.target(url)
    for url in ("http://other.internal/", "http://a.hooks.internal/", "http://10.2.0.1/", "http://192.168.0.8/"):
        with pytest.raises(InputError):
            places.target(url)
    for wrong in ("http://a", "a/b", "10.1.2", ""):
        with pytest.raises(ConfigError):
            Places([wrong])


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_any_ipv6_clothes_is_not_public(address: IPv4Address) -> None:
    number = int(address)
    for clothed in (number | 0xFFFF << 32, number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80):
        assert not is_public(IPv6Address(clothed))
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


class Names(AbstractResolver):
    """Answers each name with what comes next."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)

    async def resolve(self, host: str, port: int = 0, family: int = socket.AF_UNSPEC) -> list[ResolveResult]:
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=one,
                port=port,
                family=socket.AF_INET6 if ":" in one else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for one in addresses
        ]

    async def close(self) -> None:
        pass


async def test_a_name_is_as_good_as_all_that_it_stands_for() -> None:
    resolver = CheckedResolver(PUBLIC, Names(["8.8.8.8"], ["8.8.8.8", "10.0.0.1"], ["fe80::1%eth0"]))
    assert [one["host"] for one in await resolver.resolve("a.example", 80)] == ["8.8.8.8"]
    for _ in range(2):
        with pytest.raises(Forbidden):
            await resolver.resolve("a.example", 80)
    listed = CheckedResolver(Places(["a.example"]), Names(["10.0.0.1"]))
    assert len(await listed.resolve("a.example", 80)) == 1
    assert ipaddress.ip_address("8.8.8.8").is_global

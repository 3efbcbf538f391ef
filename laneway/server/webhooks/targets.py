"""Where webhooks may go. An address is parsed once, by the parser whose result is connected to; what its name resolves
to is checked and connected to in one, so that no second answer of a name server can lead elsewhere."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from socket import AF_INET6, AddressFamily
from typing import TypeAlias

from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from laneway.errors import ConfigError, InputError

LONGEST = 2_000  # characters
Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
_UNICAST = IPv6Network("2000::/3")  # what is routed at all; mapped, NAT64 and link-local addresses are outside of it
_CARRIES_V4 = (IPv6Network("2001::/32"), IPv6Network("2002::/16"))  # Teredo, 6to4
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")  # as the last label of a host: some read it as an IPv4 address
_LOCAL = frozenset({"localhost", "local", "internal", "localdomain", "home", "lan"})  # last labels: never public


class Forbidden(Exception):
    """Nothing is sent there."""


class Places:
    """``[server] webhook_hosts``: names, addresses and networks that may be told although they are not public."""

    def __init__(self, listed: Sequence[str]) -> None:
        """Raises ConfigError."""
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for one in listed:
            try:
                self._networks.append(ipaddress.ip_network(one.strip("[]"), strict=False))
            except ValueError:
                if not re.fullmatch(r"[\w.-]+", one) or re.fullmatch(r"[\d.]+", one):
                    raise ConfigError(
                        f"[server] webhook_hosts: {one!r} is no host",
                        hint="write names, addresses or networks: hooks.internal, 10.1.0.0/16",
                    ) from None
                self._names.add(one.casefold().rstrip("."))

    def target(self, url: str) -> URL:
        """The address as it will be connected to. Raises InputError for one that could never be told."""
        if len(url) > LONGEST or not url.isprintable() or " " in url or "\\" in url:
            raise _refused("it is too long, or has characters that no address has")
        try:
            target = URL(url)
            host, port = target.raw_host, target.port
        except ValueError as error:
            raise _refused(str(error)) from None
        if target.scheme not in ("http", "https"):
            raise _refused("only http and https are spoken")
        if not host or not port or target.raw_user is not None or target.raw_password is not None:
            raise _refused("it needs a host, and may have no user in it")
        try:
            self.check_host(host)
        except Forbidden as error:
            raise _refused(str(error)) from None
        return target.with_fragment(None)

    def check_host(self, host: str) -> None:
        """As far as that can be told without asking a name server. Raises Forbidden."""
        literal = _literal(host)
        if literal is not None:
            self.check(host, literal)
            return
        last = host.rstrip(".").rpartition(".")[2].casefold()
        if _NUMBER.fullmatch(last):
            raise Forbidden(f"{host} is no host")
        if (last in _LOCAL or "." not in host.rstrip(".")) and not self._named(host):
            raise Forbidden(f"{host} is not public; [server] webhook_hosts may list it")

    def check(self, host: str, address: Address) -> None:
        """Raises Forbidden."""
        if self._named(host) or any(address in network for network in self._networks) or is_public(address):
            return
        raise Forbidden(f"{host} is not public; [server] webhook_hosts may list it")

    def _named(self, host: str) -> bool:
        return host.casefold().rstrip(".") in self._names


class CheckedResolver(AbstractResolver):
    """What is not allowed is not found."""

    def __init__(self, places: Places, resolver: AbstractResolver) -> None:
        self._places = places
        self._resolver = resolver

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_INET6) -> list[ResolveResult]:
        """Raises Forbidden when any of the addresses is: who answers with a mixture means no good."""
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            self._places.check(host, ipaddress.ip_address(one["host"].partition("%")[0]))
        return found

    async def close(self) -> None:
        await self._resolver.close()


def is_public(address: Address) -> bool:
    """Reachable from everywhere, and nobody's own (IANA's registries of special-purpose addresses)."""
    if isinstance(address, IPv6Address) and (
        address not in _UNICAST or any(address in network for network in _CARRIES_V4)
    ):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_private)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        if ":" in host or "%" in host:
            raise Forbidden(f"{host} is no host") from None
        return None


def _refused(why: str) -> InputError:
    return InputError(f"webhook: {why}", hint="give the address of a public server: https://example.com/hook")

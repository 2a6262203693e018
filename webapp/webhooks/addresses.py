"""Which addresses may be told something: public ones over https, and where a setting allows it those of an intranet.

An endpoint is any address that a clinic writes down, so without these checks the site could be made to speak to its
own database, its neighbours, or the metadata service of its cloud.
"""

import ipaddress
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_URL = 500
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # RFC 4291: all else of IPv6 is local, special or not yet given out
INTRANET = [
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "::1", "fc00::/7")
]
NEVER = [
    ipaddress.ip_network(network)
    for network in (
        *("168.63.129.16", "100.100.100.200", "fd00:ec2::254"),  # metadata of Azure, Alibaba and Amazon
        *("192.0.0.0/24", "192.88.99.0/24", "2002::/16", "3fff::/20"),  # special, though Python calls them global
    )
]


class TargetRefusedError(Exception):
    """Nothing is sent there. Says why, in a sentence."""


@dataclass(frozen=True)
class Target:
    """A checked URL in its parts. `path` has the query."""

    secure: bool
    host: str
    port: int
    path: str


def parse(url: str) -> Target:
    """The parts of an endpoint's URL, checked without asking anybody. Raises TargetRefusedError."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise TargetRefusedError("This is not an address that can be read. It starts with https://.") from error
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > MAX_URL:
        raise TargetRefusedError(f"An address has at most {MAX_URL} plain letters, digits and signs, without spaces.")
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.WEBHOOK_ALLOW_PRIVATE):
        raise TargetRefusedError("The address has to start with https://.")
    if not parts.hostname or parts.username is not None or parts.password is not None or parts.fragment:
        raise TargetRefusedError("The address needs the name of a host, and takes no user name, password or #.")
    secure = parts.scheme == "https"
    port = port or (443 if secure else 80)
    if port < 1024 and port not in (80, 443):
        raise TargetRefusedError("The port has to be 443, or 1024 and above.")
    target = Target(secure, parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
    literal = _literal(target.host)
    if literal is not None:
        _check([literal], target)
    elif target.host == "localhost" or target.host.endswith(".localhost"):
        _check([ipaddress.ip_address("127.0.0.1")], target)
    return target


def resolve(target: Target, *, seconds: float) -> Sequence[str]:
    """The addresses of the target's host, every one of them checked. The caller connects to one of exactly these.

    Raises TargetRefusedError, and OSError where the name has no address or nobody answers in time.
    """
    answer: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            answer.set_result(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answer.set_exception(error if isinstance(error, OSError) else socket.gaierror("no such name"))

    # The resolver has no time limit of its own.
    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    addresses = answer.result(timeout=seconds)
    _check([ipaddress.ip_address(address.partition("%")[0]) for address in addresses], target)
    return addresses


def _check(addresses: Sequence[Address], target: Target) -> None:
    for address in map(_reached, addresses):
        if settings.WEBHOOK_ALLOW_PRIVATE and _is_intranet(address):
            continue
        if not _is_public(address):
            raise TargetRefusedError("This host lies in a private or reserved network, where nothing is sent.")
        if not target.secure:
            raise TargetRefusedError("An address outside one's own network has to start with https://.")


def _is_public(address: Address) -> bool:
    if address.version == 6 and address not in GLOBAL_UNICAST:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or _is_in(NEVER, address))


def _is_intranet(address: Address) -> bool:
    return _is_in(INTRANET, address) and not _is_in(NEVER, address)


def _is_in(networks: Sequence[Network], address: Address) -> bool:
    return any(address in network for network in networks)


def _reached(address: Address) -> Address:
    """The IPv4 address that an IPv6 address leads to, where it does; else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in NAT64 else address.ipv4_mapped or address


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None

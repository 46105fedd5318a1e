"""Where webhooks may go: an endpoint's address is given by somebody else, and must not lead into our own network (SSRF).

The host is resolved once, every address it has is checked, and the connection is made to the very address that was checked: a
name that answers otherwise a moment later gains nothing. The whole exchange has one deadline, however slowly it drips.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterable
from concurrent.futures import Future
from typing import Any

import httpcore

from infra.errors import BadInput

NAT64 = ipaddress.ip_network("64:ff9b::/96")
UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that IANA gives out as global unicast (RFC 4291, 2.4): site-local, translated and compatible addresses lie outside."""
SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))
"""Special-purpose blocks (RFC 6890, 7526, 9637) that not every Python's `is_global` knows of."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class AddressRefused(BadInput):
    """The endpoint's host leads to an address that is not public."""

    reason = "address_refused"


def is_public(address: Address) -> bool:
    """Whether packets to it leave for the public internet, also where one address is wrapped in another."""
    if isinstance(address, ipaddress.IPv6Address):
        wrapped: Iterable[Address | None] = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
        if any(inner is not None and not is_public(inner) for inner in wrapped):
            return False
        if address in NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped is not None:
            return True
        if address not in UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in block for block in SPECIAL)


def public_if_literal(host: str) -> bool:
    """False for an address that is not public, in any form that a resolver takes for one: 127.0.0.1, 0x7f.1, 2130706433, ::1."""
    try:
        address: Address = ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        try:
            address = ipaddress.IPv6Address(host.partition("%")[0])
        except ValueError:
            return True  # a name
    return is_public(address)


def checked_address(host: str, port: int, allowed_hosts: Collection[str], seconds: float) -> str:
    """An address of the host that may be connected to, found within `seconds`.

    Raises AddressRefused when any of them is not public, OSError when there is none, TimeoutError when nobody tells in time.
    """
    addresses = _addresses(host, port, seconds)
    if host not in allowed_hosts:
        for address in addresses:
            if not is_public(ipaddress.ip_address(address.partition("%")[0])):
                raise AddressRefused(
                    f"{host} leads to {address}, which is not a public address; name the host in"
                    " PAYRIVER_WEBHOOK_ALLOWED_HOSTS if webhooks may go there"
                )
    return addresses[0]


def _addresses(host: str, port: int, seconds: float) -> list[str]:
    """What the resolver says. It knows no deadline of ours, so it is asked in a thread that is left behind when it is slow."""
    told: Future[list[str]] = Future()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            told.set_result([str(entry[4][0]) for entry in found])
        except Exception as error:  # noqa: BLE001 (it is raised in the thread that waits)
            told.set_exception(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    return told.result(seconds)


class GuardedBackend(httpcore.NetworkBackend):
    """httpcore's way to the network: to checked addresses only, all within `seconds` from now."""

    def __init__(self, allowed_hosts: Collection[str], seconds: float) -> None:
        self._allowed = allowed_hosts
        self._deadline = Deadline(seconds)
        self._plain = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve, check, connect to what was checked."""
        try:
            address = checked_address(host, port, self._allowed, self._deadline.left())
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"nobody told the address of {host} in time") from error
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address: {error}") from error
        stream = self._plain.connect_tcp(address, port, self._deadline.left(), local_address, socket_options)
        return HurriedStream(stream, self._deadline)


class Deadline:
    """A moment by the machine's monotonic clock: it bounds how long we wait, and decides nothing else."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that are left. Raises httpcore.ReadTimeout when none are."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the whole exchange took too long")
        return left


class HurriedStream(httpcore.NetworkStream):
    """A connection each of whose waits ends at one deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As the stream below."""
        return self._stream.read(max_bytes, self._deadline.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As the stream below."""
        self._stream.write(buffer, self._deadline.left())

    def close(self) -> None:
        """As the stream below."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """As the stream below; the certificate is checked against the host's name, not its address."""
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left())
        return HurriedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """As the stream below."""
        return self._stream.get_extra_info(info)

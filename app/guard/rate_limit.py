"""Request rate limit of each client."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address

MAX_CLIENTS = 10_000  # that are remembered


class RateLimit:
    """Token bucket for each client: `per_minute` requests at once, refilled within a minute.

    A client is a `client_network`. Behind a proxy, uvicorn takes the address from the proxy's
    header where `FORWARDED_ALLOW_IPS` trusts it.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._spent: dict[str, tuple[float, float]] = {}  # requests spent, and at what time

    def take(self, client: str) -> float:
        """Seconds to wait; 0 = the request may pass. A limit of 0 lets every request pass."""
        if not self.per_minute:
            return 0
        now = self.clock()
        spent, then = self._spent.pop(client, (0.0, now))
        spent = max(spent - (now - then) * self.per_minute / 60, 0)
        wait = max((spent + 1 - self.per_minute) * 60 / self.per_minute, 0)
        self._spent[client] = (spent if wait else spent + 1, now)
        if len(self._spent) > MAX_CLIENTS:
            del self._spent[next(iter(self._spent))]  # the oldest
        return 0 if not wait else max(wait, 1)


def client_network(address: str) -> str:
    """The address, or for IPv6 its /64 network: one customer owns all addresses of it."""
    try:
        found = ip_address(address)
    except ValueError:  # a proxy may send any name
        return address
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or IPv6Network((int(found), 64), strict=False))
    return str(found)

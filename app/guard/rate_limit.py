"""How often one client may ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import IPv6Address, IPv6Network, ip_address

MAX_CLIENTS = 10_000  # whose rate is remembered


class RateLimit:
    """So many a minute for each client, and as many at once after a quiet minute: token buckets.

    A client is a `network`. Behind a proxy its address is the one that the proxy tells, if uvicorn
    was told to believe it (`FORWARDED_ALLOW_IPS`).
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.clock = per_minute, clock
        self._spent: dict[str, tuple[float, float]] = {}  # how many are spent, and when that was

    def take(self, client: str) -> float:
        """Seconds to wait, 0 = go on; no limit where it is 0 a minute."""
        if not self.per_minute:
            return 0
        now = self.clock()
        spent, then = self._spent.pop(client, (0.0, now))
        spent = max(spent - (now - then) * self.per_minute / 60, 0)
        wait = max((spent + 1 - self.per_minute) * 60 / self.per_minute, 0)
        self._spent[client] = (spent if wait else spent + 1, now)
        if len(self._spent) > MAX_CLIENTS:
            del self._spent[next(iter(self._spent))]  # who came longest ago
        return 0 if not wait else max(wait, 1)


def client_network(address: str) -> str:
    """Whom to count an address as: of IPv6 the /64, in which one customer has every address."""
    try:
        found = ip_address(address)
    except ValueError:  # a proxy may tell any name
        return address
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped or IPv6Network((int(found), 64), strict=False))
    return str(found)

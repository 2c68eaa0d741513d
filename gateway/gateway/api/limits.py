"""How often one may ask: so many requests a minute for each session that is known to be good, else for each address.

What an ``Authorization`` header claims counts for nothing before auth has vouched for it, or each request could bring
another. Each replica counts for itself: this keeps one program from crowding out the others. What guards the access
codes is auth's, in its database, and holds across replicas.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

WINDOW_SECONDS = 60
COUNTED_MAX = 50_000
CANDIDATES_MAX = 100
"""Of the oldest windows of a full table, those that are looked at for one to give up."""


@dataclass
class Window:
    """How many requests were made since a window began; both in the seconds of one clock."""

    ends_at: float
    made: int = 0


class Limits:
    """Counters by who asks."""

    def __init__(self, requests_a_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = requests_a_minute
        self._clock = clock
        self._windows: dict[bytes, Window] = {}

    def count(self, who: str) -> tuple[int, int]:
        """Count a request: how many are left in the window, negative for one too many, and its seconds to go."""
        at, key = self._clock(), hashlib.sha256(who.encode()).digest()
        window = self._windows.get(key)
        if window is None or window.ends_at <= at:
            self._windows.pop(key, None)
            if len(self._windows) >= COUNTED_MAX:
                self._make_room(at)
            window = self._windows[key] = Window(at + WINDOW_SECONDS)
        window.made += 1
        return self.most - window.made, max(1, round(window.ends_at - at))

    def _make_room(self, at: float) -> None:
        """Give up a window that is over, else one that leaves requests: who asked too often is not let off by others.

        All windows are equally long, so the oldest comes first.
        """
        oldest = list(islice(self._windows.items(), CANDIDATES_MAX))
        spare = (key for key, window in oldest if window.ends_at <= at or window.made < self.most)
        del self._windows[next(spare, oldest[0][0])]

    def give_back(self, who: str) -> None:
        """Count a request less: it turned out to be somebody else's."""
        if window := self._windows.get(hashlib.sha256(who.encode()).digest()):
            window.made -= 1

    def headers(self, left: int, seconds: int) -> dict[str, str]:
        """The policy and what is left of it, as in the IETF's draft « RateLimit header fields for HTTP »."""
        policy = f'"minute";q={self.most};w={WINDOW_SECONDS}'
        return {"RateLimit-Policy": policy, "RateLimit": f'"minute";r={max(0, left)};t={seconds}'}


LIMITS = web.AppKey("api_limits", Limits)

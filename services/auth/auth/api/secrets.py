"""argon2id, a few at a time and off the event loop, so that sign-ins never starve the other doors."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from auth.settings import Settings


class Hasher:
    """Hashes and verifies secrets with the parameters of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._argon2 = PasswordHasher(
            time_cost=settings.argon2_time_cost, memory_cost=settings.argon2_memory_kib, parallelism=1
        )
        self._threads = ThreadPoolExecutor(settings.argon2_at_once, thread_name_prefix="argon2")
        self._nobody = self._argon2.hash("the secret of nobody")

    async def hash(self, secret: str) -> str:
        """The hash to store, its parameters inside."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._argon2.hash, secret)

    async def verify(self, stored: str | None, secret: str) -> bool:
        """Tell whether the secret is right; takes the same time when nobody has that identifier."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, stored, secret)

    def needs_rehash(self, stored: str) -> bool:
        """Tell whether the parameters have changed since it was stored."""
        return self._argon2.check_needs_rehash(stored)

    def _verify(self, stored: str | None, secret: str) -> bool:
        try:
            self._argon2.verify(stored or self._nobody, secret)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None


HASHER = web.AppKey("hasher", Hasher)

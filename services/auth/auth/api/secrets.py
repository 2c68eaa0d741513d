"""argon2id, a few at a time and off the event loop, so that sign-ins never starve the other doors."""

import asyncio
import contextlib
import hashlib
import hmac
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from auth.domain.access_codes import typed
from auth.domain.chosen_secrets import normalized
from auth.settings import Settings

LETTER = "letter$"
HASHING_NICENESS = 3


def _after_the_event_loop() -> None:
    """Let this thread run when the event loop does not want the processor (Linux; elsewhere it stays as it is)."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASHING_NICENESS)


class Hasher:
    """Hashes and verifies secrets with the parameters of the settings.

    The code of a letter has 59 random bits and is replaced at the first sign-in: a keyed digest keeps it as safe as
    argon2id keeps a chosen one, and ten thousand letters do not take an hour of processor.
    """

    def __init__(self, settings: Settings) -> None:
        self._argon2 = PasswordHasher(
            time_cost=settings.argon2_time_cost, memory_cost=settings.argon2_memory_kib, parallelism=1
        )
        self._threads = ThreadPoolExecutor(settings.argon2_at_once, "argon2", _after_the_event_loop)
        self._nobody = self._argon2.hash("the secret of nobody")
        self._letter_key = hashlib.sha256(b"letter " + settings.auth_key_secret.get_secret_value().encode()).digest()

    async def hash(self, secret: str) -> str:
        """The hash to store, of the normalized secret, its parameters inside."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._argon2.hash, normalized(secret))

    def letter_hash(self, secret: str) -> str:
        """What is stored of a letter's code; at once, for its code is random."""
        return LETTER + hmac.new(self._letter_key, typed(secret).encode(), hashlib.sha256).hexdigest()

    async def verify(self, stored: str | None, secret: str) -> bool:
        """Tell whether the secret is right; takes the same time for a letter's code and when nobody is known.

        One that was hashed before secrets were normalized is right as it was typed then.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._verify, stored, secret)

    def needs_rehash(self, stored: str) -> bool:
        """Tell whether the parameters have changed since it was stored."""
        return not stored.startswith(LETTER) and self._argon2.check_needs_rehash(stored)

    def _verify(self, stored: str | None, secret: str) -> bool:
        is_letter = stored is not None and stored.startswith(LETTER)
        hashed = self._nobody if stored is None or is_letter else stored
        if not any(self._is_hash_of(hashed, each) for each in dict.fromkeys((normalized(secret), secret))):
            return is_letter and hmac.compare_digest(stored or "", self.letter_hash(normalized(secret)))
        return stored is not None and not is_letter

    def _is_hash_of(self, hashed: str, secret: str) -> bool:
        try:
            return self._argon2.verify(hashed, secret)
        except (VerificationError, InvalidHashError):
            return False


HASHER = web.AppKey("hasher", Hasher)

"""The signing keys: Ed25519, private parts encrypted at rest, public parts published."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import jwt
import structlog
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from auth.settings import SETTINGS, Settings
from auth.store import sessions as store
from chassis.database import DATABASE, Database, Transaction
from chassis.encryption import Encryption
from chassis.identity import ALGORITHM, ISSUER, claims_of, read_jwks
from contracts.failures import Unavailable
from contracts.identity import Identity

CHANGED = "signing_keys_changed"
READ_AGAIN_SECONDS = 60
PUBLISHED_FIRST = timedelta(seconds=2 * READ_AGAIN_SECONDS)
STAYS = timedelta(minutes=10)

log = structlog.get_logger()


class OwnKeys:
    """auth's keys, read from its database, and again when told that they changed, so that a new one reaches every
    replica at once; and now and then, should that not be heard."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database, self._changed = database, database.wake_on(CHANGED)
        self.at_rest = Encryption(settings.auth_key_secret, "AUTH_KEY_SECRET")
        self._signing: tuple[str, Ed25519PrivateKey] | None = None
        self._jwks: dict[str, Any] = {"keys": []}
        self._read_at = float("-inf")

    async def jwks(self) -> dict[str, Any]:
        """The public keys."""
        await self._fresh()
        return self._jwks

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """A public key by its id, for auth's own doors."""
        await self._fresh()
        return read_jwks(self._jwks).get(key_id)

    async def sign(self, identity: Identity, *, audience: str, issued_at: datetime, expires_at: datetime) -> str:
        """A token for one service."""
        await self._fresh()
        if self._signing is None:
            raise Unavailable("the signing keys cannot be read", retry_after_seconds=2)
        key_id, key = self._signing
        claims = {
            **claims_of(identity),
            "iss": ISSUER,
            "aud": audience,
            "iat": int(issued_at.timestamp()),
            "exp": int(expires_at.timestamp()),
            "jti": uuid4().hex,
        }
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": key_id})

    async def rotate(self, tx: Transaction, *, at_once: bool) -> str:
        """A new key, its id. It is published now and signs after ``PUBLISHED_FIRST``, when every replica shows it.

        The former keys stay published for ``STAYS`` after that, until what they signed is over. ``at_once``, for a
        key that was stolen: it signs now and the former ones are published no more.
        """
        await store.lock_signing_keys(tx)
        key_id = await self._add(tx, timedelta(0) if at_once else PUBLISHED_FIRST)
        await store.retire_signing_keys(tx, key_id, timedelta(0) if at_once else PUBLISHED_FIRST + STAYS)
        await store.notify_signing_keys(tx)
        return key_id

    async def _fresh(self) -> None:
        if time.monotonic() - self._read_at < READ_AGAIN_SECONDS and not self._changed.is_set():
            return
        self._changed.clear()
        async with self._database.transaction() as tx:
            rows = await store.signing_keys(tx)
            if self._newest(rows) is None:
                await store.lock_signing_keys(tx)
                if self._newest(await store.signing_keys(tx)) is None:
                    await self._add(tx)
                rows = await store.signing_keys(tx)
        self._signing = self._newest(rows)
        self._jwks = {"keys": [row["public_key"] for row in rows]}
        self._read_at = time.monotonic()

    def _newest(self, rows: Sequence[Any]) -> tuple[str, Ed25519PrivateKey] | None:
        """The key that signs; None when there is none, or none that ``AUTH_KEY_SECRET`` opens since it was changed."""
        if not rows or not rows[0]["may_sign"]:
            return None
        try:
            private = self.at_rest.decrypt(rows[0]["private_key"])
        except Unavailable:
            log.warning("the newest signing key was kept under another AUTH_KEY_SECRET", key_id=rows[0]["key_id"])
            return None
        key = serialization.load_pem_private_key(private, password=None)
        assert isinstance(key, Ed25519PrivateKey), "only Ed25519 keys are ever stored"
        return rows[0]["key_id"], key

    async def _add(self, tx: Transaction, wait: timedelta = timedelta(0)) -> str:
        key, key_id = Ed25519PrivateKey.generate(), uuid4().hex
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        public = jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True)
        entry = {**public, "kid": key_id, "use": "sig", "alg": ALGORITHM}
        await store.add_signing_key(tx, key_id, self.at_rest.encrypt(private), entry, wait)
        return key_id


OWN_KEYS = web.AppKey("own_keys", OwnKeys)


def use_own_keys(app: web.Application) -> OwnKeys:
    """Give the application its keys; nothing is read before the first token."""
    keys = OwnKeys(app[DATABASE], app[SETTINGS])
    app[OWN_KEYS] = keys
    return keys

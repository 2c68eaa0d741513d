"""The identity of a request: every route needs a valid token of auth, verified offline."""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol
from uuid import UUID

import aiohttp
import jwt
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import ValidationError

from chassis.http import path_uuid
from chassis.settings import EdgeSettings
from chassis.tasks import cancel_and_wait, run_forever
from contracts.failures import Forbidden, NotFound, Unauthenticated, Unavailable
from contracts.identity import Identity, Permission, roles_with

IDENTITY = web.RequestKey("identity", Identity)
ALGORITHM = "EdDSA"
ISSUER = "preau-auth"
JWKS_PATH = "/.well-known/jwks.json"
CLOCK_SKEW_SECONDS = 5
KEYS_ASKED_AGAIN_SECONDS = 5
"""How soon a revoked signing key stops being accepted."""

log = structlog.get_logger()


KEYS_UNREADABLE = (TimeoutError, aiohttp.ClientError, ValueError)


class Keys(Protocol):
    """A source of public keys."""

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """The public key of that id, or None."""


class RemoteKeys:
    """The keys that auth publishes, read again every few seconds once used; an unknown id triggers a limited lookup.
    While auth is away the last keys stay valid."""

    def __init__(self, auth_url: str) -> None:
        self._url = auth_url.rstrip("/") + JWKS_PATH
        self._keys: dict[str, jwt.PyJWK] = {}
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        self._http: aiohttp.ClientSession | None = None
        self._reading: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Open the HTTP client."""
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3))
        self._reading = run_forever(self._read_again, "reading auth's keys")

    async def stop(self) -> None:
        """Close the HTTP client."""
        if self._reading:
            await cancel_and_wait(self._reading)
        if self._http:
            await self._http.close()

    async def key(self, key_id: str) -> jwt.PyJWK | None:
        """The public key of an id; ``Unavailable`` when an unknown id cannot be looked up."""
        known = self._keys.get(key_id)
        if known or time.monotonic() - self._asked_at < KEYS_ASKED_AGAIN_SECONDS:
            return known
        try:
            await self._ask()
        except KEYS_UNREADABLE as error:
            log.warning("auth's keys cannot be read", error=str(error))
            raise Unavailable("auth cannot be asked for its keys", retry_after_seconds=2) from error
        return self._keys.get(key_id)

    async def _read_again(self) -> None:
        while True:
            await asyncio.sleep(KEYS_ASKED_AGAIN_SECONDS)
            if self._keys:
                try:
                    await self._ask()
                except KEYS_UNREADABLE as error:
                    log.debug("auth's keys cannot be read again, the last ones stay good", error=str(error))

    async def _ask(self) -> None:
        assert self._http is not None, "the keys are used before their start"
        async with self._asking, self._http.get(self._url) as response:
            response.raise_for_status()
            self._keys = read_jwks(await response.json())
            self._asked_at = time.monotonic()


def read_jwks(jwks: dict[str, Any]) -> dict[str, jwt.PyJWK]:
    """The Ed25519 keys of a JWKS by id; other key types are ignored."""
    return {
        entry["kid"]: jwt.PyJWK(entry, algorithm=ALGORITHM)
        for entry in jwks["keys"]
        if entry.get("kty") == "OKP" and entry.get("crv") == "Ed25519" and entry.get("kid")
    }


def claims_of(identity: Identity) -> dict[str, Any]:
    """The claims of an identity; auth adds issuer, audience and times."""
    return {
        "sub": str(identity.subject_id),
        "sid": str(identity.session_id),
        "name": identity.name,
        "roles": sorted(identity.roles),
        "household_id": str(identity.household_id) if identity.household_id else None,
        "email": identity.email,
    }


@functools.lru_cache(maxsize=64)
def _key_id(header: str) -> str | None:
    """The key id in a token's header; cached, since it is the same for all tokens of a key."""
    found = jwt.get_unverified_header(f"{header}..").get("kid")
    return found if isinstance(found, str) else None


async def verify(token: str, keys: Keys, *, audience: str) -> Identity:
    """The identity of a token; ``Unauthenticated`` unless signature, issuer, audience and times are valid."""
    try:
        key_id = _key_id(token.partition(".")[0])
        key = await keys.key(key_id) if key_id else None
        if key is None:
            raise Unauthenticated("the token's key is unknown")
        claims = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=ISSUER,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": ["exp", "iat", "aud", "iss", "sub", "sid"], "strict_aud": True},
        )
        return Identity(
            subject_id=claims["sub"],
            session_id=claims["sid"],
            name=claims.get("name"),
            roles=claims.get("roles"),
            household_id=claims.get("household_id"),
            email=claims.get("email"),
        )
    except (jwt.PyJWTError, ValidationError) as error:
        raise Unauthenticated("the token is not valid") from error


def use_identity(app: web.Application, settings: EdgeSettings, *, audience: str, keys: Keys | None = None) -> None:
    """Require a token for ``audience`` on every route not marked public. auth passes its own ``keys``."""
    remote = RemoteKeys(settings.auth_url)

    async def run(_app: web.Application) -> AsyncIterator[None]:
        await remote.start()
        yield
        await remote.stop()

    app.cleanup_ctx.append(run)
    app.middlewares.append(_wants_token(keys or remote, audience))


def _wants_token(keys: Keys, audience: str) -> Callable[..., Awaitable[web.StreamResponse]]:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_public = getattr(request.match_info.handler, "is_public", False)
        if not is_public and request.match_info.http_exception is None:
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise Unauthenticated("a token is wanted")
            request[IDENTITY] = await verify(token, keys, audience=audience)
        return await handler(request)

    return middleware


def identity(request: web.Request) -> Identity:
    """The identity of a request."""
    return request[IDENTITY]


def require(request: web.Request, permission: Permission) -> Identity:
    """The identity, if one of its roles has the permission; else ``Forbidden``."""
    person = identity(request)
    if not person.may(permission):
        raise Forbidden("your role does not allow this", roles=roles_with(permission))
    return person


def household_in_path(request: web.Request, permission: Permission) -> UUID:
    """The household in the path: a parent's own, or any for staff with ``permission``; else ``NotFound`` in both
    cases."""
    wanted = path_uuid(request, "household_id")
    person = identity(request)
    if person.household_id == wanted or person.may(permission):
        return wanted
    raise NotFound("no such household")

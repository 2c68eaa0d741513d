"""What the town hall's pages share: who may see them, and the words and amounts that staff type."""

import re
from datetime import date

from aiohttp import web

from contracts.failures import Forbidden
from contracts.identity import Identity, Permission, roles_with
from gateway.pages.rendering import signed_in

_EUROS = re.compile(r"([0-9]{1,7})(?:[.,]([0-9]{1,2}))?€?")


async def staff(request: web.Request, permission: Permission) -> tuple[str, Identity]:
    """The session and who it is, if the person may do this."""
    session, person = await signed_in(request)
    if not person.may(permission):
        raise Forbidden("this page is for others of the town hall", roles=roles_with(permission))
    return session, person


def typed_cents(text: object) -> int:
    """``12``, ``12,5``, ``1 200`` or ``12.50 €`` in cents; ``ValueError`` for anything else."""
    found = _EUROS.fullmatch("".join(str(text).split()))
    if found is None:
        raise ValueError("an amount is written like 12,50")
    return int(found[1]) * 100 + int((found[2] or "").ljust(2, "0"))


def typed_day(text: object) -> date | None:
    """A day of a date field, or None when it was left empty; ``ValueError`` for anything else."""
    return date.fromisoformat(str(text)) if text else None

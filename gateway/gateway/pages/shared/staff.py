"""What the town hall's pages share: who may see them, and the words and amounts that staff type."""

import re
from datetime import date

from aiohttp import web

from contracts.failures import Forbidden
from contracts.identity import Identity, Permission, roles_with
from contracts.model import parse_day
from gateway.pages.shared.rendering import signed_in

_EUROS = re.compile(r"([0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3}){0,2}|[0-9]{1,7})(?:[.,]([0-9]{1,2}))?\s*€?")
_WHOLE = re.compile(r"[0-9]{1,9}")


async def staff(request: web.Request, permission: Permission) -> tuple[str, Identity]:
    """The session and who it is, if the person may do this."""
    session, person = await signed_in(request)
    if not person.may(permission):
        raise Forbidden("this page is for others of the town hall", roles=roles_with(permission))
    return session, person


def typed_cents(text: object) -> int:
    """``12``, ``12,5``, ``1 200`` or ``12.50 €`` in cents; ``ValueError`` for anything else, such as ``12 50``."""
    found = _EUROS.fullmatch(str(text).strip())
    if found is None:
        raise ValueError("an amount is written like 12,50")
    return int("".join(found[1].split())) * 100 + int((found[2] or "").ljust(2, "0"))


def typed_whole(text: str) -> int:
    """A whole number in plain digits; ``ValueError`` for anything else that ``int`` would read."""
    if not _WHOLE.fullmatch(text):
        raise ValueError("a whole number is written in digits")
    return int(text)


def typed_day(text: object) -> date | None:
    """A day of a date field, or None when it was left empty; ``ValueError`` for anything else."""
    return parse_day(str(text)) if text else None

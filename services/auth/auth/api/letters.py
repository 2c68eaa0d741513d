"""Letters with the two access codes: the codes are drawn when the letter is made, and known to the letter alone."""

import asyncio
import secrets
from uuid import UUID

import structlog
from aiohttp import web
from pydantic import ValidationError

from auth.api.secrets import HASHER
from auth.domain import access_codes
from auth.settings import SETTINGS, Settings
from auth.store import accounts, registry, sessions
from chassis import outbox
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import read_body
from chassis.idempotency import idempotent
from chassis.identity import require
from contracts.api.auth import HouseholdView, Letter, LettersRequest
from contracts.events.auth import SessionEnded
from contracts.failures import Conflict, NotFound
from contracts.identity import Identity, Permission
from documents import access_letters

log = structlog.get_logger()
routes = web.RouteTableDef()


@routes.post("/letters")
@idempotent
async def post_letters(request: web.Request) -> web.Response:
    """New codes and their letters as one PDF: for a household, or for the next that never had any.

    A household's former codes and secrets are worth nothing from then on, and its sessions end.
    """
    person, body = require(request, Permission.WRITE_HOUSEHOLDS), await read_body(request, LettersRequest)
    async with request.app[DATABASE].transaction() as tx:
        chosen = await registry.guardians_for_letters(tx, body.household_id, body.limit)
        if not chosen:
            raise NotFound("nobody waits for a letter")
        letters = await _draw(request, tx, chosen, person)
        if not letters:
            raise Conflict("none of the letters could be written")
        pdf = await asyncio.to_thread(access_letters, letters, now())
    headers = {
        "Content-Disposition": f'attachment; filename="codes-{now():%Y-%m-%d}.pdf"',
        "Cache-Control": "no-store",
    }
    return web.Response(body=pdf, content_type="application/pdf", headers=headers)


async def _draw(
    request: web.Request, tx: Transaction, chosen: list[tuple[UUID, UUID]], person: Identity
) -> list[Letter]:
    """New codes for each, kept as digests; everything that let them in before is over.

    A letter that cannot be written is left out: its codes stay as they were, its guardian still waits, and the journal
    says so.
    """
    letters, printed, at = [], [], now()
    for account_id, household_id in chosen:
        secret = access_codes.draw_secret(secrets.choice)
        try:
            (household,) = await registry.households(tx, [household_id])
            letter = _letter(request.app[SETTINGS], household, account_id, secret)
        except ValidationError as error:
            log.warning(
                "a letter cannot be written", guardian_id=str(account_id), errors=error.errors(include_input=False)
            )
            await accounts.add_fact(tx, "letter impossible", account_id, "", person.subject_id)
            continue
        await registry.save_letter(tx, account_id, request.app[HASHER].letter_hash(secret))
        await accounts.add_fact(tx, "letter printed", account_id, "", person.subject_id)
        letters.append(letter)
        printed.append(account_id)
    ended = await sessions.end_sessions(tx, printed, at)
    await outbox.add(tx, *(SessionEnded(session_id=each, ended_at=at) for each in ended))
    return letters


def _letter(settings: Settings, household: HouseholdView, account_id: UUID, secret: str) -> Letter:
    guardian = next(each for each in household.guardians if each.guardian_id == account_id)
    return Letter(
        town=settings.town_name,
        portal=settings.public_url,
        reference=household.reference,
        name=f"{guardian.first_name} {guardian.last_name}",
        address=household.address,
        locale=household.locale,
        identifier=guardian.identifier,
        secret=secret,
    )

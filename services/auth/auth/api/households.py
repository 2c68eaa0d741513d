"""The registry: households, guardians, children."""

import hashlib
import secrets
from uuid import UUID

from aiohttp import web
from email_validator import EmailNotValidError, validate_email
from pydantic import Field

from auth import store
from auth.api.secrets import HASHER
from auth.domain import access_codes
from auth.domain.failures import IdentifierTaken, ReferenceTaken
from chassis import outbox
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, path_uuid, read_body
from chassis.identity import household_in_path, identity, require
from contracts.api.auth import AccessCodes, GuardianWish, HouseholdCreated, HouseholdList, HouseholdView, HouseholdWish
from contracts.events.auth import HouseholdChanged
from contracts.failures import Forbidden, Invalid, NotFound
from contracts.identity import Permission, Role
from contracts.model import Contract

routes = web.RouteTableDef()


class EmailWish(Contract):
    """``PUT /guardians/{guardian_id}/email``."""

    email: str = Field(max_length=254)


def changed(view: HouseholdView) -> HouseholdChanged:
    """The household as the event that tells of it."""
    return HouseholdChanged(
        household_id=view.household_id,
        version=view.version,
        reference=view.reference,
        name=view.name,
        address=view.address,
        active=True,
        children=view.children,
    )


def checked_email(email: str) -> str:
    """The address in its normal form; ``Invalid`` when it cannot be one."""
    try:
        return validate_email(email, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise Invalid("this is not an email address", errors=[{"field": "email", "message": str(error)}]) from None


@routes.get("/households/{household_id}")
async def get_household(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        found = await store.households(tx, [household_id])
    if not found:
        raise NotFound("no such household")
    return json_response(found[0])


@routes.get("/households")
async def get_households(request: web.Request) -> web.Response:
    require(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        found = await store.households(tx, await store.household_ids(tx))
    return json_response(HouseholdList(households=tuple(found)))


@routes.post("/households")
async def post_household(request: web.Request) -> web.Response:
    """Write a household down once: the same wish again answers the household that is there, without its codes."""
    person = require(request, Permission.WRITE_HOUSEHOLDS)
    wish = await read_body(request, HouseholdWish)
    if any(each.identifier or each.secret for each in wish.guardians) and Role.ADMINISTRATOR not in person.roles:
        raise Forbidden("only an administrator may choose access codes")
    codes = [_drawn(guardian) for guardian in wish.guardians]
    hashes = [await request.app[HASHER].hash(secret) for _identifier, secret in codes]
    digest = hashlib.sha256(await request.read()).digest()
    async with request.app[DATABASE].transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock(hashtext('household ' || $1))", wish.reference)
        if there := await store.household_by_reference(tx, wish.reference):
            if there[1] != digest:
                raise ReferenceTaken("another household has this reference", reference=wish.reference)
            (view,) = await store.households(tx, [there[0]])
            return json_response(HouseholdCreated(household=view, access_codes=()))
        await _check_children(tx, wish)
        household_id = await store.add_household(tx, wish, digest)
        told = await _add_guardians(tx, household_id, wish, codes, hashes)
        (view,) = await store.households(tx, [household_id])
        await outbox.add(tx, changed(view), *await store.guardians(tx, [household_id]))
    return json_response(HouseholdCreated(household=view, access_codes=tuple(told)), status=201)


def _drawn(guardian: GuardianWish) -> tuple[str, str]:
    identifier = guardian.identifier or access_codes.draw_identifier(secrets.choice)
    secret = guardian.secret.get_secret_value() if guardian.secret else access_codes.draw_secret(secrets.choice)
    return identifier, secret


async def _check_children(tx: Transaction, wish: HouseholdWish) -> None:
    shared = [child.child_id for child in wish.children if child.child_id]
    unknown = set(shared) - await store.known_children(tx, shared)
    if unknown or len(set(shared)) != len(shared):
        errors = [{"field": "children", "message": f"no child {child_id}"} for child_id in sorted(map(str, unknown))]
        raise Invalid("a child named here does not exist, or is named twice", errors=errors)


async def _add_guardians(
    tx: Transaction, household_id: UUID, wish: HouseholdWish, codes: list[tuple[str, str]], hashes: list[str]
) -> list[AccessCodes]:
    told = []
    for guardian, (identifier, secret), secret_hash in zip(wish.guardians, codes, hashes, strict=True):
        account_id = await store.add_account(
            tx,
            identifier=identifier,
            secret_hash=secret_hash,
            household_id=household_id,
            first_name=guardian.first_name,
            last_name=guardian.last_name,
            email=checked_email(guardian.email) if guardian.email else None,
            roles=[Role.PARENT],
        )
        if account_id is None:
            raise IdentifierTaken("this identifier is taken", identifier=identifier)
        told.append(AccessCodes(guardian_id=account_id, identifier=identifier.lower(), secret=secret))
    return told


@routes.put("/guardians/{guardian_id}/email")
async def put_email(request: web.Request) -> web.Response:
    """A guardian's own address."""
    guardian_id = path_uuid(request, "guardian_id")
    if identity(request).subject_id != guardian_id:
        raise NotFound("no such guardian")
    email = checked_email((await read_body(request, EmailWish)).email)
    async with request.app[DATABASE].transaction() as tx:
        guardian = await store.save_email(tx, guardian_id, email)
        if guardian is None:
            raise NotFound("no such guardian")
        await outbox.add(tx, guardian)
    return json_response(EmailWish(email=email))

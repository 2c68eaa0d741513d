"""The registry: households, guardians, children."""

import hashlib
import re
import secrets
from uuid import UUID, uuid4

from aiohttp import web

from auth.api.secrets import HASHER
from auth.domain import access_codes
from auth.domain.addresses import checked_email
from auth.domain.chosen_secrets import is_published
from auth.domain.failures import (
    EmailOwned,
    EmailWrong,
    HouseholdMoved,
    IdentifierTaken,
    LeftOut,
    ReferenceTaken,
    SchoolUnknown,
    SecretRefused,
)
from auth.domain.registry import Child, Guardian, Household, Place, plan
from auth.domain.schools import Schools
from auth.domain.sign_in import SetUp
from auth.settings import SETTINGS
from auth.store import accounts, changes, registry, schools
from chassis import outbox
from chassis.clock import now
from chassis.database import DATABASE, Transaction
from chassis.http import json_response, path_uuid, read_body
from chassis.idempotency import idempotent
from chassis.identity import household_in_path, require
from contracts.api.auth import (
    AccessCodes,
    ChildRequest,
    GuardianRequest,
    GuardianUpdate,
    HouseholdCreated,
    HouseholdList,
    HouseholdRequest,
    HouseholdUpdate,
)
from contracts.failures import Forbidden, Invalid, NotFound
from contracts.identity import Permission, Role

LIMIT_MAX = 500
NUMBER = re.compile(r"[0-9]{1,4}")

routes = web.RouteTableDef()


@routes.get("/households/{household_id}")
async def get_household(request: web.Request) -> web.Response:
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        found = await registry.households(tx, [household_id])
    if not found:
        raise NotFound("no such household")
    return json_response(found[0])


@routes.get("/households")
async def get_households(request: web.Request) -> web.Response:
    """The first households that the search finds, by reference; how many there are in all."""
    require(request, Permission.READ_HOUSEHOLDS)
    text, limit = request.query.get("search", "").strip()[:100], request.query.get("limit", str(LIMIT_MAX))
    if not NUMBER.fullmatch(limit) or not 0 < int(limit) <= LIMIT_MAX:
        raise Invalid("the limit is wrong", errors=[{"field": "limit", "message": f"1 to {LIMIT_MAX}"}])
    async with request.app[DATABASE].transaction() as tx:
        ids, total, without_letter = await registry.search(tx, text, int(limit))
        found = await registry.households(tx, ids)
    return json_response(HouseholdList(households=tuple(found), total=total, without_letter=without_letter))


@routes.post("/households")
async def post_household(request: web.Request) -> web.Response:
    """Write a household down once: the same wish again answers the household that is there, without its codes."""
    person = require(request, Permission.WRITE_HOUSEHOLDS)
    body = await read_body(request, HouseholdRequest)
    if any(each.identifier or each.secret for each in body.guardians) and Role.ADMINISTRATOR not in person.roles:
        raise Forbidden("only an administrator may choose access codes", roles=[Role.ADMINISTRATOR])
    codes = [await _codes(request, guardian) for guardian in body.guardians]
    digest = hashlib.sha256(await request.read()).digest()
    async with request.app[DATABASE].transaction() as tx:
        await registry.lock(tx)
        if there := await registry.household_by_reference(tx, body.reference):
            if there[1] != digest:
                raise ReferenceTaken("another household has this reference", reference=body.reference)
            (view,) = await registry.households(tx, [there[0]])
            return json_response(HouseholdCreated(household=view, access_codes=()))
        await _known_children(tx, body.children)
        for child in body.children:
            await schools.register(tx, child.school, child.class_name)
        known = await schools.load(tx)
        spelt = body.model_copy(update={"children": tuple(_spelt(each, known) for each in body.children)})
        household_id = await registry.add_household(tx, spelt, digest)
        told = await _add_guardians(tx, household_id, body, codes)
        (view,) = await registry.households(tx, [household_id])
        await outbox.add(tx, *await changes.told(tx, [household_id]))
        await accounts.add_fact(tx, f"household {body.reference} written down", None, "", person.subject_id)
    return json_response(HouseholdCreated(household=view, access_codes=tuple(told)), status=201)


async def _codes(request: web.Request, guardian: GuardianRequest) -> tuple[str, str, str, SetUp]:
    """Identifier, secret, its hash, and how far that brings the guardian: a drawn code is a letter's."""
    identifier = guardian.identifier or access_codes.draw_identifier(secrets.choice)
    if guardian.secret:
        secret = guardian.secret.get_secret_value()
        if is_published(secret) and not request.app[SETTINGS].demo_accounts:
            raise SecretRefused("the secret is printed in the documentation", reason="common")
        return identifier, secret, await request.app[HASHER].hash(secret), SetUp.DONE
    secret = access_codes.draw_secret(secrets.choice)
    return identifier, secret, request.app[HASHER].letter_hash(secret), SetUp.LETTER


async def _known_children(tx: Transaction, children: tuple[ChildRequest, ...]) -> dict[UUID, Child]:
    """The children that the wish names by id, as they are; ``Invalid`` when one does not exist or comes twice."""
    shared = [child.child_id for child in children if child.child_id]
    known = await registry.known_children(tx, shared)
    unknown = set(shared) - set(known)
    if unknown or len(set(shared)) != len(shared):
        errors = [{"field": "children", "message": f"no child {child_id}"} for child_id in sorted(map(str, unknown))]
        raise Invalid("a child named here does not exist, or is named twice", errors=errors)
    return known


async def _add_guardians(
    tx: Transaction, household_id: UUID, body: HouseholdRequest, codes: list[tuple[str, str, str, SetUp]]
) -> list[AccessCodes]:
    told = []
    for position, guardian in enumerate(body.guardians):
        identifier, secret, secret_hash, set_up = codes[position]
        account_id = await accounts.add_account(
            tx,
            identifier=identifier,
            secret_hash=secret_hash,
            set_up=set_up,
            household_id=household_id,
            first_name=guardian.first_name,
            last_name=guardian.last_name,
            email=checked_email(guardian.email) if guardian.email else None,
            roles=[Role.PARENT],
            position=position,
        )
        if account_id is None:
            raise IdentifierTaken("this identifier is taken", identifier=identifier)
        told.append(AccessCodes(guardian_id=account_id, identifier=identifier.lower(), secret=secret))
    return told


@routes.put("/households/{household_id}")
@idempotent
async def put_household(request: web.Request) -> web.Response:
    """Make a household as it must be, if nobody changed it since it was read."""
    person, household_id = require(request, Permission.WRITE_HOUSEHOLDS), path_uuid(request, "household_id")
    body = await read_body(request, HouseholdUpdate)
    async with request.app[DATABASE].transaction() as tx:
        await registry.lock(tx)
        loaded, views = await registry.load(tx, [household_id]), await registry.households(tx, [household_id])
        if not loaded:
            raise NotFound("no such household")
        (known,), (view,) = loaded.values(), views
        if view.version != body.seen_version:
            raise HouseholdMoved("the household was changed meanwhile", version=view.version)
        shared = await _known_children(tx, body.children)
        body = _all_spelt(body, known, await schools.load(tx))
        wanted, numbered = _wanted(known, body, shared), await registry.numbered_children(tx)
        made = plan(known, wanted, numbered, uuid4, shared, by_name=False)
        if made:
            await outbox.add(tx, *await changes.make(tx, [made], [], now()))
            fact = f"household {known.reference} changed"
            await accounts.add_fact(tx, fact, None, "", person.subject_id)
            (view,) = await registry.households(tx, [household_id])
    return json_response(view)


def _spelt(child: ChildRequest, known: Schools) -> ChildRequest:
    """The child with its school and class as they are registered."""
    school, class_name = known.spelt(child.school, child.class_name)
    return child.model_copy(update={"school": school, "class_name": class_name})


def _all_spelt(body: HouseholdUpdate, household: Household, known: Schools) -> HouseholdUpdate:
    """The children with registered schools and classes; ``SchoolUnknown`` says whose is not, or takes no more."""
    before = {each.child.child_id: each.child.school for each in household.places}
    children = []
    for number, each in enumerate(body.children):
        try:
            child = _spelt(each, known)
        except SchoolUnknown as unknown:
            raise SchoolUnknown(unknown.detail, **unknown.facts, child=number, errors=[]) from None
        school = known.school(child.school)
        if school and school.closed and before.get(each.child_id) != school.name:
            raise SchoolUnknown(
                "this school takes no more children", school=school.name, near=[], child=number, errors=[]
            )
        children.append(child)
    return body.model_copy(update={"children": tuple(children)})


def _wanted(known: Household, body: HouseholdUpdate, shared: dict[UUID, Child]) -> Household:
    own = {each.guardian_id: each for each in known.guardians}
    named = [each.guardian_id for each in body.guardians if each.guardian_id]
    if len(set(named)) < len(named) or not set(named) <= set(own):
        raise Invalid("a guardian named here is not of this household", errors=[{"field": "guardians", "message": ""}])
    there = {*own, *(each.child.child_id for each in known.places)}
    if there - set(named) - {each.child_id for each in body.children} - body.removed:
        raise LeftOut("somebody of the household is neither named nor removed", errors=[])
    places = []
    for each in body.children:
        same = shared.get(each.child_id) if each.child_id else None
        child = Child(
            each.first_name,
            each.last_name,
            each.birth_date,
            each.school,
            each.class_name,
            same.reference if same else None,
            each.child_id,
        )
        places.append(Place(child, each.custody, each.custody_days))
    guardians = tuple(_guardian(number, each, own) for number, each in enumerate(body.guardians))
    return Household(known.reference, body.name, body.address, guardians, tuple(places), locale=body.locale)


def _guardian(number: int, body: GuardianUpdate, own: dict[UUID | None, Guardian]) -> Guardian:
    """A guardian as typed; ``EmailWrong`` and ``EmailOwned`` say whose address is refused."""
    try:
        email = checked_email(body.email) if body.email else None
    except EmailWrong as wrong:
        raise EmailWrong(wrong.detail, **wrong.facts, guardian=number) from None
    same = own.get(body.guardian_id) if body.guardian_id else None
    if same and same.owns_email and email != same.email:
        raise EmailOwned(
            "only its owner changes this address", errors=[{"field": "email", "message": ""}], guardian=number
        )
    return Guardian(body.first_name, body.last_name, email, body.guardian_id)

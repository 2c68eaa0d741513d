"""The rules that make prices, what they make of a household, and the credits that a late quotient opens."""

from collections.abc import Sequence
from uuid import UUID

from aiohttp import web

from billing.api.credit_notes import publish_credit_note
from billing.domain import residence
from billing.domain.failures import (
    AccountChanged,
    NoSuchHousehold,
    NoSuchTariff,
    NothingToCredit,
    TariffsOverlap,
    TariffUsed,
)
from billing.domain.invoicing import Cheaper, Usage, cheaper, credit_lines
from billing.domain.tariffs import Household, PriceBook, overlapping
from billing.store import invoices, tariffs, usages
from chassis import outbox
from chassis.clock import now, today
from chassis.database import DATABASE, Transaction
from chassis.http import (
    check_version,
    idempotency_key,
    json_response,
    path_day,
    path_uuid,
    query_day,
    read_body,
)
from chassis.idempotency import claim_key, idempotent, store_answer
from chassis.identity import household_in_path, require
from contracts.api.billing import CreditNote, RepricingRequest
from contracts.api.tariffs import (
    HouseholdTerms,
    PriceList,
    Quote,
    QuotedDay,
    QuoteRequest,
    Repricing,
    Tariff,
    TariffList,
    TariffRequest,
    Terms,
    TermsKnown,
    TermsRequest,
)
from contracts.failures import Invalid
from contracts.identity import Permission

routes = web.RouteTableDef()


@routes.get("/tariffs")
async def get_tariffs(request: web.Request) -> web.Response:
    require(request, Permission.WRITE_TARIFFS)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(TariffList(tariffs=tuple(await tariffs.tariffs(tx))))


@routes.put("/tariffs/{tariff_id}")
@idempotent
async def put_tariff(request: web.Request) -> web.Response:
    """Keep a rule, unless another applies to the same days; one that made an invoice only ends."""
    require(request, Permission.WRITE_TARIFFS)
    tariff_id, body = path_uuid(request, "tariff_id"), await read_body(request, TariffRequest)
    tariff = Tariff(tariff_id=tariff_id, **dict(body))
    async with request.app[DATABASE].transaction() as tx:
        await tariffs.hold_tariffs(tx)
        kept = await tariffs.tariff(tx, tariff_id)
        check_version(request, kept[0] if kept else None)
        if kept and kept[1] and kept[0].model_copy(update={"valid_until": body.valid_until}) != tariff:
            raise TariffUsed("this rule made an invoice: it may only end", tariff_id=str(tariff_id))
        if other := overlapping(tariff, await tariffs.tariffs(tx)):
            raise TariffsOverlap(
                "another rule applies to the same days",
                tariff_id=str(other.tariff_id),
                label=other.label,
                valid_from=str(other.valid_from),
                valid_until=str(other.valid_until) if other.valid_until else None,
            )
        await tariffs.save_tariff(tx, tariff_id, body)
    return json_response(tariff)


@routes.delete("/tariffs/{tariff_id}")
async def delete_tariff(request: web.Request) -> web.Response:
    """Forget a rule that never made an invoice."""
    require(request, Permission.WRITE_TARIFFS)
    tariff_id = path_uuid(request, "tariff_id")
    async with request.app[DATABASE].transaction() as tx:
        await tariffs.hold_tariffs(tx)
        kept = await tariffs.tariff(tx, tariff_id)
        if kept is None:
            raise NoSuchTariff("there is no such rule")
        check_version(request, kept[0])
        if kept[1]:
            raise TariffUsed("this rule made an invoice: it may only end", tariff_id=str(tariff_id))
        await tariffs.remove_tariff(tx, tariff_id)
    return json_response(kept[0])


async def _prices(tx: Transaction, household_id: UUID) -> tuple[Household, PriceBook]:
    known = await tariffs.households(tx, [household_id])
    return known[household_id], PriceBook(await tariffs.tariffs(tx))


@routes.get("/households/{household_id}/prices")
async def get_prices(request: web.Request) -> web.Response:
    """What a day costs a child, by activity; activities without a price are left out."""
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    day = query_day(request, "day", today())
    try:
        child_id = UUID(request.query["child_id"]) if "child_id" in request.query else None
    except ValueError:
        raise Invalid("the child cannot be read", errors=[{"field": "child_id", "message": "not a UUID"}]) from None
    async with request.app[DATABASE].transaction() as tx:
        household, book = await _prices(tx, household_id)
    if child_id is None:
        child_id = household.children[0][0] if household.children else household_id
    found = [book.price(each, day, household, child_id) for each in book.activities]
    return json_response(PriceList(prices=tuple(each for each in found if each)))


@routes.post("/households/{household_id}/quotes")
async def post_quote(request: web.Request) -> web.Response:
    """What some days would cost; nothing is kept."""
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    body = await read_body(request, QuoteRequest)
    async with request.app[DATABASE].transaction() as tx:
        household, book = await _prices(tx, household_id)
    days = tuple(
        QuotedDay(
            activity_id=each.activity_id,
            day=each.day,
            price=book.price(each.activity_id, each.day, household, body.child_id),
        )
        for each in body.days
    )
    return json_response(Quote(days=days, total_cents=sum(each.price.unit_price_cents for each in days if each.price)))


async def _cheaper(tx: Transaction, household_id: UUID, account: Sequence[Usage]) -> dict[UUID, list[Cheaper]]:
    """The days of each invoice that cost less by what is known now, as far as the invoice can still be credited."""
    household, book = await _prices(tx, household_id)
    found = cheaper(account, household, book)
    known = {each.invoice_id: each for each in await invoices.summaries(tx, household_id, list(found))}
    return {
        invoice_id: days
        for invoice_id, days in found.items()
        if sum(each.credit_cents for each in days) <= known[invoice_id].total_cents - known[invoice_id].credited_cents
    }


async def _terms(tx: Transaction, household_id: UUID) -> HouseholdTerms:
    row = await tariffs.household(tx, household_id)
    if row is None:
        raise NoSuchHousehold("billing has not heard of this household")
    household = (await tariffs.households(tx, [household_id]))[household_id]
    found = await _cheaper(tx, household_id, await usages.account(tx, household_id))
    known = {each.invoice_id: each.number for each in await invoices.summaries(tx, household_id, list(found))}
    held = {each.valid_from: each for each in household.terms}
    return HouseholdTerms(
        household_id=household_id,
        name=row["name"],
        reference=row["reference"],
        terms=tuple(held[day] for day in sorted(held, reverse=True)),
        repricings=tuple(
            Repricing(
                invoice_id=invoice_id,
                number=known[invoice_id],
                days=len(days),
                credit_cents=sum(each.credit_cents for each in days),
            )
            for invoice_id, days in sorted(found.items(), key=lambda each: known[each[0]])
        ),
    )


@routes.get("/households/{household_id}/terms")
async def get_terms(request: web.Request) -> web.Response:
    """The quotients and residences of a household, and the credits they would open."""
    household_id = household_in_path(request, Permission.READ_HOUSEHOLDS)
    async with request.app[DATABASE].transaction() as tx:
        return json_response(await _terms(tx, household_id))


@routes.put("/households/{household_id}/terms/{day}")
@idempotent
async def put_terms(request: web.Request) -> web.Response:
    """Keep a household's quotient and residence from a day on; what it makes cheaper is proposed, not done."""
    person = require(request, Permission.WRITE_TARIFFS)
    household_id, body = path_uuid(request, "household_id"), await read_body(request, TermsRequest)
    day = path_day(request)
    async with request.app[DATABASE].transaction() as tx:
        if await tariffs.household(tx, household_id) is None:
            raise NoSuchHousehold("billing has not heard of this household")
        await invoices.lock_household(tx, household_id)
        check_version(request, TermsKnown(terms=(await _terms(tx, household_id)).terms))
        known, new = (await tariffs.households(tx, [household_id]))[household_id], Terms(valid_from=day, **dict(body))
        if known.on(day) != new:
            version = await tariffs.add_terms(tx, household_id, day, body, person.subject_id, now())
            event = residence.told(household_id, version, (*known.terms, new))
            if event.residences != residence.residences(known.terms):
                await outbox.add(tx, event)
        return json_response(await _terms(tx, household_id))


@routes.post("/households/{household_id}/invoices/{invoice_id}/repricing")
async def post_repricing(request: web.Request) -> web.Response:
    """Publish the credit that was proposed: the days of an invoice that cost less by what is known now."""
    person, key = require(request, Permission.PUBLISH_INVOICES), idempotency_key(request)
    household_id, invoice_id = path_uuid(request, "household_id"), path_uuid(request, "invoice_id")
    body = await read_body(request, RepricingRequest)
    async with request.app[DATABASE].transaction() as tx:
        scope = f"repricing/{invoice_id}"
        answer = await claim_key(tx, scope, key, await request.read())
        if answer is None:
            await invoices.lock_household(tx, household_id)
            balance_cents = await invoices.refuse_if_changed(tx, household_id, body.seen_balance_cents)
            known = await usages.account_for_update(tx, household_id)
            days = (await _cheaper(tx, household_id, known)).get(invoice_id)
            if not days:
                raise NothingToCredit("no day of this invoice costs less than it was invoiced at")
            if sum(each.credit_cents for each in days) != body.credit_cents:
                raise AccountChanged("the proposed credit is another by now", balance_cents=balance_cents)
            note = await _credit(request, tx, household_id, invoice_id, days, person.subject_id)
            await usages.mark(tx, [(each.usage, each.worth.on(invoice_id) if each.worth else None) for each in days])
            answer = note.model_dump_json().encode()
            await store_answer(tx, scope, key, answer)
    return web.Response(body=answer, status=201, content_type="application/json", charset="utf-8")


async def _credit(
    request: web.Request, tx: Transaction, household_id: UUID, invoice_id: UUID, days: list[Cheaper], by: UUID
) -> CreditNote:
    lines, products = credit_lines([(each.usage, each.explanation, each.credit_cents) for each in days])
    reason = "Quotient familial, situation ou présences connus après la facture"
    return await publish_credit_note(request, tx, household_id, invoice_id, lines, products, reason=reason, by=by)

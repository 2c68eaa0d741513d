"""The recap of chosen invoices before they are paid: its lines, its total, and an amount typed wrong."""

from collections.abc import Sequence
from uuid import UUID

from aiohttp import web

from contracts.api.billing import Invoice, InvoiceList
from gateway.clients.services import SERVICES
from gateway.languages import decimal_amount
from gateway.pages.shared.access import require_household
from gateway.pages.shared.rendering import redirect, render


async def recap_page(
    request: web.Request, wanted: Sequence[object], *, wrong: str = "", typed: str | None = None
) -> web.Response:
    """The recap of some invoices, with what was wrong about the amount that was ``typed``."""
    session, person, household = await require_household(request)
    services, chosen = request.app[SERVICES], []
    for text in dict.fromkeys(str(each) for each in wanted[:50]):
        try:
            path = f"{household}/invoices/{UUID(text)}"
        except ValueError:
            return redirect("/factures")
        chosen.append(await services.call(session, "billing", path, Invoice))
    payable = [each for each in chosen if each.summary.left_cents and not each.summary.under_way]
    if not payable:
        return redirect("/factures")
    account = await services.call(session, "billing", f"{household}/invoices", InvoiceList)
    due = sum(each.summary.left_cents for each in payable)
    credit, minimum = min(account.credit_cents, due), account.part_cents_min
    total = due - credit
    return render(
        request,
        "parents/invoice_recap.html",
        person,
        status=422 if wrong else 200,
        invoices=payable,
        credit_cents=credit,
        total_cents=total,
        part_cents=(minimum, total - minimum) if minimum and 2 * minimum <= total else None,
        typed=typed or decimal_amount(total),
        wrong=wrong,
    )

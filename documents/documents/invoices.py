"""The invoice of a month, and the credit note that corrects one."""

from datetime import UTC, date, datetime, time
from typing import Any

from contracts.api.billing import CreditNote, Invoice, Issuer
from documents import french
from documents.rendering import render


def issuer(model: Issuer) -> dict[str, Any]:
    """Who sends a document, as templates want it."""
    return {
        "town": model.town,
        "siret": french.siret(model.siret),
        "town_address": model.address,
        "contact": model.contact,
        "till": model.till,
    }


def noon(value: date) -> datetime:
    """The instant inside the PDF of a document of that day."""
    return datetime.combine(value, time(12), UTC)


def invoice(model: Invoice) -> bytes:
    """The PDF of a published invoice, on as many pages as its lines need."""
    summary = model.summary
    values = {
        **issuer(model.issuer),
        "number": summary.number,
        "of_month": french.of_month(summary.month),
        "published_on": french.day(summary.published_on),
        "due_on": french.day(summary.due_on),
        "household": model.household_name,
        "reference": model.household_reference,
        "address": list(model.household_address),
        "lines": [
            {
                "child": line.child_first_name,
                "activity": line.activity_label,
                "explanation": line.explanation,
                "count": str(line.count).replace("-", french.MINUS),
                "unit_price": french.euros(line.unit_price_cents),
                "amount": french.euros(line.amount_cents),
            }
            for line in model.lines
        ],
        "total": french.euros(summary.total_cents),
    }
    return render("invoice", values, created_at=noon(summary.published_on))


def credit_note(model: CreditNote) -> bytes:
    """The PDF of a credit note (« avoir »), which names the invoice it corrects."""
    summary = model.summary
    values = {
        **issuer(model.issuer),
        "number": summary.number,
        "invoice_number": summary.invoice_number,
        "published_on": french.day(summary.published_on),
        "reason": summary.reason,
        "household": model.household_name,
        "reference": model.household_reference,
        "address": list(model.household_address),
        "lines": [
            {
                "child": line.child_first_name,
                "label": line.label,
                "count": str(line.count),
                "unit_credit": french.euros(line.unit_credit_cents),
                "amount": french.euros(line.amount_cents),
            }
            for line in model.lines
        ],
        "total": french.euros(summary.total_cents),
    }
    return render("credit_note", values, created_at=noon(summary.published_on))

"""The invoice of a month."""

from datetime import UTC, datetime, time

from contracts.api.billing import Invoice
from documents import french
from documents.rendering import render


def invoice(model: Invoice) -> bytes:
    """The PDF of a published invoice, on as many pages as its lines need."""
    summary = model.summary
    values = {
        "town": model.town,
        "number": summary.number,
        "month": french.month(summary.month),
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
    return render("invoice", values, created_at=datetime.combine(summary.published_on, time(12), UTC))

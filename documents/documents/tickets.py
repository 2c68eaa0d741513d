"""« Justificatif de paiement »: the ticket of a payment."""

from contracts.events.payment import Means, Mode, Ticket
from documents import french
from documents.rendering import render

MEANS = {Means.CARD: "Carte bancaire", Means.DEBIT: "Prélèvement unique", Means.TRANSFER: "Virement"}


def ticket(model: Ticket, *, credited_cents: int = 0) -> bytes:
    """The PDF of a ticket; marked TEST in test mode. ``credited_cents`` of it were settled before, and are a credit."""
    values = {
        "town": model.town,
        "till": model.till,
        "number": model.number,
        "paid_at": french.instant(model.paid_at),
        "household": model.household_name,
        "reference": model.household_reference,
        "invoices": [
            {
                "number": invoice.number,
                "month": french.month(invoice.month),
                "amount": french.euros(invoice.amount_cents),
                "left": french.euros(invoice.left_cents) if invoice.left_cents else "",
            }
            for invoice in model.invoices
        ],
        "amount": french.euros(model.amount_cents),
        "means": MEANS[model.means],
        "bank_reference": model.bank_reference,
        "authorisation": model.authorisation or "—",
        "is_test": model.mode is Mode.TEST,
        "credited": french.euros(credited_cents) if credited_cents else "",
    }
    return render("ticket", values, created_at=model.paid_at)

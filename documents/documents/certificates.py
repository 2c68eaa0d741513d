"""« Attestation fiscale »: what was paid in a year for the care of a child."""

from contracts.api.billing import Certificate
from documents import french
from documents.invoices import issuer, noon
from documents.rendering import render


def certificate(model: Certificate) -> bytes:
    """The PDF of a tax certificate (CGI, article 200 quater B: care outside the home of a child under six)."""
    values = {
        **issuer(model.issuer),
        "household": model.household_name,
        "reference": model.household_reference,
        "address": list(model.household_address),
        "child": model.child_name,
        "birth_date": french.day(model.birth_date) if model.birth_date else None,
        "year": str(model.year),
        "issued_on": french.day(model.issued_on),
        "lines": [{"activity": line.activity_label, "amount": french.euros(line.amount_cents)} for line in model.lines],
        "total": french.euros(model.total_cents),
        "so_far": french.day(model.issued_on) if model.is_running else "",
        "alternating": model.alternating,
    }
    return render("certificate", values, created_at=noon(model.issued_on))

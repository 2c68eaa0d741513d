"""What billing refuses, by name."""

from contracts.failures import Conflict, NotFound


class NoSuchInvoice(NotFound):
    """The household has no such invoice."""

    code = "no_such_invoice"


class NoSuchCheckout(NotFound):
    """The household has no such checkout."""

    code = "no_such_checkout"


class TariffMissing(Conflict):
    """Days to invoice have no price; nothing was published."""

    code = "tariff_missing"


class CheckoutOpen(Conflict):
    """An invoice is being paid already; ``checkout_id`` in the facts."""

    code = "checkout_open"


class AlreadyPaid(Conflict):
    """Nothing is left to pay on an invoice."""

    code = "already_paid"

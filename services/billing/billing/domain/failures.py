"""What billing refuses, by name."""

from contracts.failures import Conflict, Invalid, NotFound


class NoSuchInvoice(NotFound):
    """The household has no such invoice."""

    code = "no_such_invoice"


class NoSuchCheckout(NotFound):
    """The household has no such checkout."""

    code = "no_such_checkout"


class TariffMissing(Conflict):
    """Days to invoice have no price; nothing was published."""

    code = "tariff_missing"


class CreditSuffices(Conflict):
    """The household's credit pays all of it: nothing is left for a bank."""

    code = "credit_suffices"


class PaymentUnderWay(Conflict):
    """An invoice that money is taken for is being paid online, or that payment is under review."""

    code = "payment_under_way"


class CheckoutOpen(Conflict):
    """An invoice is being paid already; ``checkout_id`` in the facts."""

    code = "checkout_open"


class PartRefused(Conflict):
    """The town wants these invoices paid whole; ``due_cents`` in the facts.

    Where it allows parts, those between ``minimum_cents`` and ``maximum_cents``, which leaves enough to be paid too.
    """

    code = "part_refused"


class AlreadyPaid(Conflict):
    """Nothing is left to pay on an invoice."""

    code = "already_paid"


class TariffsOverlap(Conflict):
    """Another rule applies to some of the same days; ``label``, ``tariff_id`` and its validity in the facts."""

    code = "tariffs_overlap"


class TariffUsed(Conflict):
    """A rule that made an invoice only ever ends; another rule may follow it."""

    code = "tariff_used"


class NoSuchTariff(NotFound):
    """There is no such rule."""

    code = "no_such_tariff"


class NoSuchHousehold(NotFound):
    """billing has not heard of this household."""

    code = "no_such_household"


class NoSuchRun(NotFound):
    """There is no such run."""

    code = "no_such_run"


class RunOpen(Conflict):
    """A month is being invoiced already; ``run_id`` in the facts."""

    code = "run_open"


class RunMoved(Conflict):
    """The run is not where this needs it to be; its ``status`` in the facts."""

    code = "run_moved"


class MoreThanDue(Conflict):
    """More money than is due; ``due_cents`` in the facts."""

    code = "more_than_due"


class MoreThanCredit(Conflict):
    """More than the town owes the household; ``credit_cents`` in the facts."""

    code = "more_than_credit"


class MoreThanInvoiced(Conflict):
    """An invoice is not credited for more than it said; ``creditable_cents`` in the facts."""

    code = "more_than_invoiced"


class NothingToCredit(Conflict):
    """No day of this invoice costs less than it was invoiced at, or one that was named is not charged by it."""

    code = "nothing_to_credit"


class NoSuchCertificate(NotFound):
    """Nothing was paid for the care of this child in that year."""

    code = "no_such_certificate"


class WrongPeriod(Invalid):
    """A period begins before it ends and lasts a year at most."""

    code = "wrong_period"


class AccountChanged(Conflict):
    """The household's account is not any more as it was shown to whoever decides; ``balance_cents`` in the facts."""

    code = "account_changed"

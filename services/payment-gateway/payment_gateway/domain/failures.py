"""What the payment gateway refuses, by name."""

from contracts.failures import Conflict, Invalid, NotFound, Unavailable


class NoSuchPayment(NotFound):
    """No such payment, or not this household's."""

    code = "no_such_payment"


class NoSuchBank(NotFound):
    """The webhook's bank is not one of ours."""

    code = "no_such_bank"


class UnknownNotice(NotFound):
    """The bank speaks of a payment that is not here: kept in the journal, and to be sent again."""

    code = "unknown_payment"


class UnknownSignedNotice(Unavailable):
    """The bank's own signature, but no such payment: kept, raised, and to be sent again."""

    code = "unknown_signed_payment"


class UnreadableSignedNotice(Unavailable):
    """The bank's own signature on something that cannot be read: kept, for a person, and to be sent again."""

    code = "unreadable_signed_notice"


class CheckoutNotReady(Unavailable):
    """billing's event has not come yet."""

    code = "checkout_not_ready"


class CheckoutOver(Conflict):
    """It was tried already; each try has a checkout of its own."""

    code = "checkout_over"


class PaymentUnresolved(Conflict):
    """An attempt is open at the bank: its page can no longer be shown, or somebody is on it."""

    code = "payment_unresolved"


class PayerEmailMissing(Invalid):
    """The bank wants an address for its own receipt."""

    code = "payer_email_missing"


class PayerEmailUnusable(Invalid):
    """The bank cannot be given this address: it is too long, or holds a sign that no form may be signed with."""

    code = "payer_email_unusable"


class NoTicket(NotFound):
    """Only a confirmed payment has a ticket."""

    code = "no_ticket"


class BankUnreachable(Unavailable):
    """The bank does not answer, or says that it cannot."""

    code = "bank_unreachable"


class BankRefused(Conflict):
    """The bank would not open the payment; ``bank_code`` in the facts."""

    code = "bank_refused"


class BankCannot(Conflict):
    """This bank offers no such service: its own back office has to be asked."""

    code = "bank_cannot"


class NoForm(NotFound):
    """This attempt's page is not a form to post, or can no longer be opened."""

    code = "no_form"


class NoAccount(Unavailable):
    """The attempt's account is not configured here any more."""

    code = "no_account"


class NotForThisPayment(Conflict):
    """The till keeper cannot decide this of an attempt that stands there; ``status`` in the facts."""

    code = "not_for_this_payment"


class PaymentChanged(Conflict):
    """The payment is not any more as it was shown to whoever decides; ``status`` in the facts."""

    code = "payment_changed"


class RefundTooHigh(Conflict):
    """More than what is left of the payment; ``left_cents`` in the facts."""

    code = "refund_too_high"


class NoSuchDifference(Conflict):
    """Somebody explained this difference already, or its facts are others now."""

    code = "no_such_difference"

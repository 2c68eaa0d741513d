"""What the public API can do, as data: its routes, their limits and the OpenAPI document are made from this table."""

from dataclasses import dataclass

from pydantic import BaseModel, Field, SecretStr

from contracts.api.auth import AccountView, SignedIn
from contracts.api.billing import Checkout, CheckoutRequest, CreditUse, CreditUsed, Invoice, InvoiceList
from contracts.api.bookings import BookingOutcome, BookingRequest, ChangeHistory, PlanOutcome, PlanRequest, UndoRequest
from contracts.api.enrolments import ChildList
from contracts.api.months import MonthView, OfferAnswer, OfferList
from contracts.api.notifier import Announcements, Preferences, PreferencesView
from contracts.api.payment_gateway import Payment, PaymentRequest, PaymentTimeline
from contracts.api.tariffs import PriceList
from contracts.identity import Identity
from contracts.model import Contract

PDF = "application/pdf"


class AccessCodesTyped(Contract):
    """The two codes of a guardian, as on the sign-in page."""

    identifier: str = Field(max_length=200)
    secret: SecretStr = Field(max_length=200)


class OneTimeCodeTyped(Contract):
    """A code of the telephone, or a recovery code."""

    code: SecretStr = Field(max_length=40)


@dataclass(frozen=True)
class Operation:
    """One operation: the public ``route``, and the path ``to`` at ``service``; without one it has a handler of its own.

    ``{household_id}`` in ``to`` is that of the person who asks. ``answer`` is a model, a media type, or None for 204.
    ``keyed``: it costs something, and wants an ``Idempotency-Key``.
    """

    name: str
    route: str
    summary: str
    answer: type[BaseModel] | str | None
    service: str = ""
    to: str = ""
    body: type[BaseModel] | None = None
    query: tuple[str, ...] = ()
    keyed: bool = False
    status: int = 200
    public: bool = False

    @property
    def method(self) -> str:
        return self.route.partition(" ")[0]

    @property
    def path(self) -> str:
        return self.route.partition(" ")[2]


HOUSE = "/households/{household_id}"
CHILD = f"{HOUSE}/children/{{child_id}}"
YEAR = "What was paid in a year for a child's care (« attestation fiscale »)."

SESSION = (
    Operation(
        "signIn",
        "POST /sessions",
        "Open a session with the two access codes.",
        SignedIn,
        body=AccessCodesTyped,
        status=201,
        public=True,
    ),
    Operation(
        "giveOneTimeCode",
        "POST /sessions/one-time-code",
        "Finish a sign-in that wants a code.",
        SignedIn,
        body=OneTimeCodeTyped,
        status=201,
    ),
    Operation("signOut", "DELETE /sessions/current", "End this session, everywhere at once.", None),
    Operation("whoAmI", "GET /me", "Who is signed in.", Identity),
    Operation("account", "GET /account", "One's own account and open sessions.", AccountView, "auth", "/account"),
    Operation(
        "closeSession",
        "DELETE /sessions/{session_id}",
        "Close another session of one's own.",
        None,
        "auth",
        "/account/sessions/{session_id}",
    ),
)
PLANNING = (
    Operation("children", "GET /children", "The household's children.", ChildList, "planning", f"{HOUSE}/children"),
    Operation(
        "month",
        "GET /children/{child_id}/months/{month}",
        "A month of a child: each day, what can be changed, and until when.",
        MonthView,
        "planning",
        f"{CHILD}/months/{{month}}",
    ),
    Operation(
        "changes",
        "GET /children/{child_id}/changes",
        "The child's last modifications.",
        ChangeHistory,
        "planning",
        f"{CHILD}/changes",
    ),
    Operation(
        "prices",
        "GET /prices",
        "What a day of each activity costs, and why.",
        PriceList,
        "billing",
        f"{HOUSE}/prices",
        query=("child_id", "day"),
    ),
    Operation(
        "book",
        "POST /bookings",
        "Change days: each is saved, waits, or is refused with its reason.",
        BookingOutcome,
        "planning",
        f"{HOUSE}/bookings",
        body=BookingRequest,
        keyed=True,
    ),
    Operation(
        "plan",
        "POST /plans",
        "Fill many days by one rule, or preview it.",
        PlanOutcome,
        "planning",
        f"{HOUSE}/plans",
        body=PlanRequest,
        keyed=True,
    ),
    Operation(
        "undo",
        "POST /undo",
        "Take a change back, as far as its days still allow.",
        BookingOutcome,
        "planning",
        f"{HOUSE}/undo",
        body=UndoRequest,
        keyed=True,
    ),
    Operation(
        "offers",
        "GET /offers",
        "Places that came free and are held for the household's children, and until when.",
        OfferList,
        "planning",
        f"{HOUSE}/offers",
    ),
    Operation(
        "acceptOffer",
        "POST /offers/accept",
        "Take a place that is held: its day is booked, or refused with its reason.",
        BookingOutcome,
        "planning",
        f"{HOUSE}/offers/accept",
        body=OfferAnswer,
        keyed=True,
    ),
    Operation(
        "declineOffer",
        "POST /offers/decline",
        "Let a place go: the child leaves the list of that day, and the next family is asked.",
        BookingOutcome,
        "planning",
        f"{HOUSE}/offers/decline",
        body=OfferAnswer,
        keyed=True,
    ),
)
INVOICES = (
    Operation(
        "invoices",
        "GET /invoices",
        "Invoices to pay and paid, credit notes, certificates.",
        InvoiceList,
        "billing",
        f"{HOUSE}/invoices",
    ),
    Operation(
        "invoice",
        "GET /invoices/{invoice_id}",
        "An invoice with its lines.",
        Invoice,
        "billing",
        f"{HOUSE}/invoices/{{invoice_id}}",
    ),
    Operation(
        "invoicePdf",
        "GET /invoices/{invoice_id}/pdf",
        "An invoice as published.",
        PDF,
        "billing",
        f"{HOUSE}/invoices/{{invoice_id}}/pdf",
    ),
    Operation(
        "creditNotePdf",
        "GET /credit-notes/{credit_note_id}/pdf",
        "A credit note (« avoir »).",
        PDF,
        "billing",
        f"{HOUSE}/credit-notes/{{credit_note_id}}/pdf",
    ),
    Operation(
        "certificatePdf",
        "GET /certificates/{year}/{child_id}/pdf",
        YEAR,
        PDF,
        "billing",
        f"{HOUSE}/certificates/{{year}}/{{child_id}}/pdf",
    ),
)
PAYMENTS = (
    Operation(
        "openCheckout",
        "POST /checkouts",
        "Hold invoices to pay them together.",
        Checkout,
        "billing",
        f"{HOUSE}/checkouts",
        body=CheckoutRequest,
        keyed=True,
        status=201,
    ),
    Operation(
        "useCredit",
        "POST /credit-uses",
        "Have the household's credit pay invoices.",
        CreditUsed,
        "billing",
        f"{HOUSE}/credit-uses",
        body=CreditUse,
        keyed=True,
        status=201,
    ),
    Operation(
        "checkout",
        "GET /checkouts/{checkout_id}",
        "Where a checkout stands.",
        Checkout,
        "billing",
        f"{HOUSE}/checkouts/{{checkout_id}}",
    ),
    Operation(
        "pay",
        "POST /payments",
        "Begin to pay a checkout: the answer says where the parent goes to pay at the bank.",
        Payment,
        body=PaymentRequest,
        status=201,
    ),
    Operation(
        "payment",
        "GET /payments/{payment_id}",
        "A payment and all that happened to it.",
        PaymentTimeline,
        "payment-gateway",
        "/payments/{payment_id}/timeline",
    ),
    Operation(
        "lookUp",
        "POST /payments/{payment_id}/look-up",
        "Ask the bank what became of a payment.",
        Payment,
        "payment-gateway",
        "/payments/{payment_id}/look-up",
    ),
    Operation(
        "abandon",
        "POST /payments/{payment_id}/abandon",
        "Give a payment up, unless the bank has it.",
        Payment,
        "payment-gateway",
        "/payments/{payment_id}/abandon",
    ),
    Operation(
        "ticketPdf",
        "GET /payments/{payment_id}/ticket",
        "The ticket of a confirmed payment.",
        PDF,
        "payment-gateway",
        "/payments/{payment_id}/ticket",
    ),
)
MESSAGES = (
    Operation(
        "announcements",
        "GET /announcements",
        "What the town hall says now.",
        Announcements,
        "notifier",
        f"{HOUSE}/announcements",
    ),
    Operation("preferences", "GET /preferences", "Which mails one wants.", PreferencesView, "notifier", "/preferences"),
    Operation(
        "savePreferences",
        "PUT /preferences",
        "Choose which mails one wants.",
        PreferencesView,
        "notifier",
        "/preferences",
        body=Preferences,
    ),
)
GROUPS = {
    "Session": SESSION,
    "Planning": PLANNING,
    "Invoices": INVOICES,
    "Payments": PAYMENTS,
    "Messages": MESSAGES,
}
OPERATIONS = tuple(operation for group in GROUPS.values() for operation in group)

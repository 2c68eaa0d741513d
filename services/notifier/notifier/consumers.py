"""What notifier hears, and whom it then intends to write to."""

from uuid import UUID

from chassis.clock import now
from chassis.database import Transaction
from chassis.inbox import Consumers, RetryLater
from contracts.events.auth import (
    EmailGiven,
    EmailReplaced,
    GuardianChanged,
    HouseholdChanged,
    NewDeviceUsed,
    ResetRequested,
)
from contracts.events.billing import (
    CreditRefunded,
    InvoiceCredited,
    InvoicePublished,
    InvoiceReminded,
    InvoiceSettled,
    PaymentUnmatched,
)
from contracts.events.payment import (
    PaymentConfirmed,
    PaymentHeld,
    PaymentRefunded,
    PaymentRefundUndone,
    PaymentRefused,
    PaymentReturned,
    UnpaidOutcome,
)
from contracts.events.planning import (
    BookingsChanged,
    Channel,
    EnrolmentChanged,
    OfferLapsed,
    PlaceGranted,
    PlaceOffered,
)
from notifier.domain.mails import Contact, Kind, intent
from notifier.settings import NAME
from notifier.store import contacts, mails

AboutPayment = PaymentConfirmed | PaymentRefused | PaymentHeld | PaymentRefunded | PaymentRefundUndone | PaymentReturned

consumers = Consumers(NAME)


@consumers.on(GuardianChanged)
async def keep_guardians(event: GuardianChanged, tx: Transaction) -> None:
    """Know whom to write to; of one who was erased, forget the addresses and words of every mail there was."""
    await contacts.save_guardian(tx, event)
    if event.erased:
        await mails.erase(tx, event.guardian_id)
        await contacts.erase(tx, event.guardian_id)


@consumers.on(HouseholdChanged)
async def keep_schools(event: HouseholdChanged, tx: Transaction) -> None:
    """Know which families a school's message is for, and the language of each."""
    await contacts.save_household(tx, event)


@consumers.on(EnrolmentChanged)
async def keep_enrolments(event: EnrolmentChanged, tx: Transaction) -> None:
    """Know which families an activity's message is for."""
    await contacts.save_enrolment(tx, event)


@consumers.on(BookingsChanged)
async def keep_bookings(event: BookingsChanged, tx: Transaction) -> None:
    """Know who still comes to an activity after an enrolment has ended."""
    await contacts.save_bookings(tx, event)


@consumers.on(PaymentConfirmed)
async def mail_ticket(event: PaymentConfirmed, tx: Transaction) -> None:
    """The ticket, always, to who paid."""
    await _tell_payer(tx, Kind.TICKET, event)


async def _tell_payer(tx: Transaction, kind: Kind, event: AboutPayment, fact: UUID | None = None) -> None:
    """A mail about money, to who paid or tried to, as soon as an address is known, and as long as they belong there."""
    if not await contacts.is_known(tx, event.payer_id):
        raise RetryLater("no address is known for the payer yet")
    if payer := await contacts.contact(tx, event.payer_id, event.household_id):
        await mails.add_mail(tx, intent(kind, fact or event.payment_id, payer), kind, payer, event, now())


@consumers.on(PaymentRefused)
async def mail_refusal(event: PaymentRefused, tx: Transaction) -> None:
    """The bank's refusal, to who tried to pay; who gave up by themselves know it."""
    if event.outcome is UnpaidOutcome.REFUSED:
        await _tell_payer(tx, Kind.REFUSED, event)


@consumers.on(PaymentHeld)
async def mail_hold(event: PaymentHeld, tx: Transaction) -> None:
    """The town hall looks into a payment: who paid need not fear for the money, nor pay again."""
    await _tell_payer(tx, Kind.HELD, event)


@consumers.on(PaymentRefunded)
async def mail_refund(event: PaymentRefunded, tx: Transaction) -> None:
    """Money on its way back; one payment may be refunded in several parts."""
    await _tell_payer(tx, Kind.REFUND, event, event.refund_id)


@consumers.on(PaymentRefundUndone)
async def mail_refund_undone(event: PaymentRefundUndone, tx: Transaction) -> None:
    """The refund that was told failed at the bank, and its money pays what it had paid: who waits for it must know."""
    await _tell_payer(tx, Kind.REFUND_UNDONE, event, event.decision_id)


@consumers.on(PaymentReturned)
async def mail_return(event: PaymentReturned, tx: Transaction) -> None:
    """The bank took a payment back: what it had paid is due again."""
    await _tell_payer(tx, Kind.RETURNED, event)


@consumers.on(InvoiceReminded)
async def mail_reminder(event: InvoiceReminded, tx: Transaction) -> None:
    """An invoice past its day, to every guardian who did not leave reminders."""
    fact = f"{event.invoice_id}/{event.step}"
    for person in await contacts.who_want_reminders(tx, event.household_id):
        await mails.add_mail(tx, intent(Kind.REMINDER, fact, person), Kind.REMINDER, person, event, now())


@consumers.on(InvoiceSettled)
async def drop_reminders(event: InvoiceSettled, tx: Transaction) -> None:
    """What is paid is reminded of no more, even where a mail server that is away still keeps the reminder here."""
    await mails.drop_reminders(tx, event.invoice_id)


@consumers.on(InvoiceCredited)
async def mail_credit(event: InvoiceCredited, tx: Transaction) -> None:
    """A credit note corrects what was invoiced: every guardian is told."""
    await _tell_guardians(tx, Kind.CREDIT, event, event.credit_note_id)


@consumers.on(CreditRefunded)
async def mail_credit_refund(event: CreditRefunded, tx: Transaction) -> None:
    """The till keeper gave a credit back: every guardian is told."""
    await _tell_guardians(tx, Kind.CREDIT_REFUND, event, event.refund_id)


@consumers.on(PaymentUnmatched)
async def mail_surplus(event: PaymentUnmatched, tx: Transaction) -> None:
    """Money for what was settled before: every guardian is told that it is a credit now."""
    await _tell_guardians(tx, Kind.SURPLUS, event, event.payment_id)


async def _tell_guardians(
    tx: Transaction, kind: Kind, event: InvoiceCredited | CreditRefunded | PaymentUnmatched, fact: UUID
) -> None:
    for person in await contacts.guardians(tx, event.household_id):
        await mails.add_mail(tx, intent(kind, fact, person), kind, person, event, now())


@consumers.on(InvoicePublished)
async def mail_invoice(event: InvoicePublished, tx: Transaction) -> None:
    """A new invoice, to those who asked for it."""
    for person in await contacts.who_want_invoices(tx, event.household_id):
        await mails.add_mail(tx, intent(Kind.INVOICE, event.invoice_id, person), Kind.INVOICE, person, event, now())


@consumers.on(BookingsChanged)
async def mail_recap(event: BookingsChanged, tx: Transaction) -> None:
    """What was booked and cancelled, to those who asked for it; what the town hall closed, or put outside of an
    enrolment, to every guardian.

    A place from the waiting list has a mail of its own, ``mail_place``.
    """
    if event.channel is Channel.WAITING_LIST:
        return
    if event.reason:
        kind, people = Kind.CLOSED, await contacts.guardians(tx, event.household_id)
    elif event.enrolled:
        kind, people = Kind.ENDED, await contacts.guardians(tx, event.household_id)
    else:
        kind, people = Kind.RECAP, await contacts.who_want_recaps(tx, event.household_id)
    fact = f"{event.household_id}/{event.child_id}/{event.version}"
    for person in people:
        await mails.add_mail(tx, intent(kind, fact, person), kind, person, event, now())


@consumers.on(PlaceGranted)
async def mail_place(event: PlaceGranted, tx: Transaction) -> None:
    """A place that came free, to every guardian: the child is now expected that day."""
    fact = f"{event.household_id}/{event.child_id}/{event.version}"
    for person in await contacts.guardians(tx, event.household_id):
        await mails.add_mail(tx, intent(Kind.PLACE, fact, person), Kind.PLACE, person, event, now())


@consumers.on(PlaceOffered)
async def mail_offer(event: PlaceOffered, tx: Transaction) -> None:
    """A place that is held for a while, to every guardian: one of them accepts it, or it goes to another family."""
    fact = f"{event.activity_id}/{event.day}/{event.position}"
    for person in await contacts.guardians(tx, event.household_id):
        await mails.add_mail(tx, intent(Kind.OFFER, fact, person), Kind.OFFER, person, event, now())


@consumers.on(OfferLapsed)
async def mail_lapse(event: OfferLapsed, tx: Transaction) -> None:
    """A place that nobody accepted in time, to every guardian: the child no longer waits for that day."""
    fact = f"{event.activity_id}/{event.day}/{event.position}"
    for person in await contacts.guardians(tx, event.household_id):
        await mails.add_mail(tx, intent(Kind.LAPSED, fact, person), Kind.LAPSED, person, event, now())


@consumers.on(ResetRequested)
async def mail_reset(event: ResetRequested, tx: Transaction) -> None:
    """The link for a new secret, to the address that the account has; people of the town hall have one too."""
    await _tell_account(tx, Kind.RESET, event.link_id, event)


@consumers.on(EmailGiven)
async def mail_confirmation(event: EmailGiven, tx: Transaction) -> None:
    """The link that proves an address, to that address."""
    await _tell_account(tx, Kind.CONFIRM_EMAIL, event.link_id, event)


@consumers.on(EmailReplaced)
async def mail_replacement(event: EmailReplaced, tx: Transaction) -> None:
    """A word to the address that was left: whoever took an account over cannot do it unseen."""
    await _tell_account(tx, Kind.EMAIL_REPLACED, f"{event.account_id}/{event.replaced_at.isoformat()}", event)


@consumers.on(NewDeviceUsed)
async def mail_new_device(event: NewDeviceUsed, tx: Transaction) -> None:
    """A sign-in from a device that was never seen before, to whom the account belongs."""
    await _tell_account(tx, Kind.NEW_DEVICE, event.session_id, event)


async def _tell_account(
    tx: Transaction, kind: Kind, fact: object, event: ResetRequested | EmailGiven | EmailReplaced | NewDeviceUsed
) -> None:
    """A mail to the address that the event names, known or not; none to somebody who was erased meanwhile."""
    person = Contact(event.account_id, event.first_name, event.email)
    if not await contacts.is_erased(tx, person.person_id):
        await mails.add_mail(tx, intent(kind, fact, person), kind, person, event, now())

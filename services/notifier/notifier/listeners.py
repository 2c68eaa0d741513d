"""What notifier hears, and whom it then intends to write to."""

from chassis.clock import now
from chassis.database import Transaction
from chassis.inbox import Later, Listeners
from contracts.events.auth import EmailGiven, GuardianChanged, ResetRequested
from contracts.events.billing import InvoicePublished
from contracts.events.payment import PaymentConfirmed
from contracts.events.planning import BookingsChanged
from notifier.domain.mails import Contact, Kind, intent
from notifier.settings import NAME
from notifier.store import contacts, mails

listeners = Listeners(NAME)


@listeners.on(GuardianChanged)
async def keep_guardians(event: GuardianChanged, tx: Transaction) -> None:
    """Know whom to write to."""
    await contacts.save_guardian(tx, event)


@listeners.on(PaymentConfirmed)
async def mail_ticket(event: PaymentConfirmed, tx: Transaction) -> None:
    """The ticket, always, to who paid."""
    payer = await contacts.contact(tx, event.payer_id)
    if payer is None:
        raise Later("no address is known for the payer yet")
    await mails.add_mail(tx, intent(Kind.TICKET, event.payment_id, payer), Kind.TICKET, payer, event, now())


@listeners.on(InvoicePublished)
async def mail_invoice(event: InvoicePublished, tx: Transaction) -> None:
    """A new invoice, to those who asked for it."""
    for person in await contacts.who_want_invoices(tx, event.household_id):
        await mails.add_mail(tx, intent(Kind.INVOICE, event.invoice_id, person), Kind.INVOICE, person, event, now())


@listeners.on(BookingsChanged)
async def mail_recap(event: BookingsChanged, tx: Transaction) -> None:
    """What was booked and cancelled, to those who asked for it."""
    fact = f"{event.household_id}/{event.child_id}/{event.version}"
    for person in await contacts.who_want_recaps(tx, event.household_id):
        await mails.add_mail(tx, intent(Kind.RECAP, fact, person), Kind.RECAP, person, event, now())


@listeners.on(ResetRequested)
async def mail_reset(event: ResetRequested, tx: Transaction) -> None:
    """The link for a new secret, to the address that the account has; people of the town hall have one too."""
    person = Contact(event.account_id, event.first_name, event.email)
    await mails.add_mail(tx, intent(Kind.RESET, event.link_id, person), Kind.RESET, person, event, now())


@listeners.on(EmailGiven)
async def mail_confirmation(event: EmailGiven, tx: Transaction) -> None:
    """The link that proves an address, to that address."""
    person, kind = Contact(event.account_id, event.first_name, event.email), Kind.CONFIRM_EMAIL
    await mails.add_mail(tx, intent(kind, event.link_id, person), kind, person, event, now())

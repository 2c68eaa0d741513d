"""A mail's words: subject, text, HTML and attachment, from the fact it tells."""

from datetime import date
from email.message import EmailMessage
from email.utils import format_datetime

import css_inline
import jinja2

from chassis.clock import now
from contracts.events import Event
from contracts.events.auth import EmailGiven, ResetRequested
from contracts.events.billing import InvoicePublished
from contracts.events.payment import PaymentConfirmed
from contracts.events.planning import BookingsChanged
from documents import french, ticket
from notifier.domain.mails import Kind, Mail
from notifier.settings import Settings

WEEKDAYS = ("Lu", "Ma", "Me", "Je", "Ve", "Sa", "Di")
EVENTS: dict[Kind, type[Event]] = {
    Kind.TICKET: PaymentConfirmed,
    Kind.INVOICE: InvoicePublished,
    Kind.RECAP: BookingsChanged,
    Kind.RESET: ResetRequested,
    Kind.CONFIRM_EMAIL: EmailGiven,
}
SUBJECTS = {
    Kind.TICKET: "Votre paiement de {{ event.amount_cents | euros }} : ticket {{ event.ticket.number }}",
    Kind.INVOICE: "Votre facture de {{ event.month | month }} est en ligne",
    Kind.RECAP: "Planning de {{ event.child_first_name }} : vos modifications sont enregistrées",
    Kind.RESET: "Vos codes d'accès au portail des familles",
    Kind.CONFIRM_EMAIL: "Confirmez votre adresse email",
}


def short_day(day: date) -> str:
    """A day as on the portal: « Je 24-12-2015 »."""
    return f"{WEEKDAYS[day.weekday()]} {day:%d-%m-%Y}"


_FILTERS = {"euros": french.euros, "month": french.month, "instant": french.instant, "day": short_day}
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("notifier"),
    autoescape=jinja2.select_autoescape(["html"]),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(_FILTERS)


def write(mail: Mail, settings: Settings) -> EmailMessage:
    """The message. Its Message-ID is the mail's own, so that one sent twice by accident is recognised."""
    event = EVENTS[mail.kind].model_validate(mail.event)
    values = {"event": event, "first_name": mail.first_name, "town": settings.town_name, "portal": settings.public_url}
    message = EmailMessage()
    message["Subject"] = _TEMPLATES.from_string(SUBJECTS[mail.kind]).render(values)
    message["From"] = f"{_quoted(settings.town_name)} <{settings.mail_from}>"
    message["To"] = mail.recipient
    message["Date"] = format_datetime(now())
    message["Message-ID"] = f"<{mail.mail_id}@{settings.mail_from.partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_TEMPLATES.get_template(f"{mail.kind}.txt").render(values))
    html = _TEMPLATES.get_template(f"{mail.kind}.html").render(values)
    message.add_alternative(css_inline.inline(html), subtype="html")
    if isinstance(event, PaymentConfirmed):
        name = f"justificatif-{event.ticket.number}.pdf"
        message.add_attachment(ticket(event.ticket), maintype="application", subtype="pdf", filename=name)
    return message


def _quoted(name: str) -> str:
    escaped = name.replace("\\", "").replace('"', "")
    return f'"{escaped}"'

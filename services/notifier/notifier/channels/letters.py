"""A mail's words: subject, text and HTML from one template in the reader's language, and its attachment.

A template is rendered twice. It speaks in pieces (``p``, ``note``, ``facts``, ``lines``, ``whole``, ``button``) that
are HTML the first time and plain text the second.
"""

import re
from collections.abc import Callable, Iterable
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

import css_inline
import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup

from chassis.clock import now
from contracts.api.notifier import Announcement
from contracts.events.auth import EmailGiven, EmailReplaced, NewDeviceUsed, ResetRequested
from contracts.events.billing import (
    CreditRefunded,
    InvoiceCredited,
    InvoicePublished,
    InvoiceReminded,
    PaymentUnmatched,
)
from contracts.events.payment import (
    PaymentConfirmed,
    PaymentHeld,
    PaymentRefunded,
    PaymentRefundUndone,
    PaymentRefused,
    PaymentReturned,
)
from contracts.events.planning import BookingsChanged, OfferLapsed, PlaceGranted, PlaceOffered
from contracts.model import Contract, Language
from documents import ticket
from notifier.channels import languages
from notifier.domain.mails import OPTIONAL, Kind, Mail
from notifier.settings import Settings

EVENTS: dict[Kind, type[Contract]] = {
    Kind.TICKET: PaymentConfirmed,
    Kind.REFUSED: PaymentRefused,
    Kind.HELD: PaymentHeld,
    Kind.REFUND: PaymentRefunded,
    Kind.REFUND_UNDONE: PaymentRefundUndone,
    Kind.RETURNED: PaymentReturned,
    Kind.INVOICE: InvoicePublished,
    Kind.REMINDER: InvoiceReminded,
    Kind.CREDIT: InvoiceCredited,
    Kind.CREDIT_REFUND: CreditRefunded,
    Kind.SURPLUS: PaymentUnmatched,
    Kind.RECAP: BookingsChanged,
    Kind.PLACE: PlaceGranted,
    Kind.OFFER: PlaceOffered,
    Kind.LAPSED: OfferLapsed,
    Kind.CLOSED: BookingsChanged,
    Kind.ENDED: BookingsChanged,
    Kind.RESET: ResetRequested,
    Kind.CONFIRM_EMAIL: EmailGiven,
    Kind.EMAIL_REPLACED: EmailReplaced,
    Kind.NEW_DEVICE: NewDeviceUsed,
    Kind.ANNOUNCEMENT: Announcement,
}
MANY_LINES = {"markdown"}
TEXT_LENGTH_MAX = 300
UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
"""Control characters, line ends, and marks that turn the direction of writing."""


def one_line(text: str) -> str:
    """Text that somebody typed, on one line, without control characters, and cut when it never ends."""
    flat = UNSAFE.sub(" ", text).strip()
    return flat if len(flat) <= TEXT_LENGTH_MAX else f"{flat[: TEXT_LENGTH_MAX - 1]}…"


def _tamed(value: Any) -> Any:
    """An event's JSON with every text on one line."""
    match value:
        case str():
            return one_line(value)
        case list():
            return [_tamed(each) for each in value]
        case dict():
            return {name: each if name in MANY_LINES else _tamed(each) for name, each in value.items()}
    return value


def _html_facts(rows: Iterable[tuple[object, object]]) -> Markup:
    row = Markup('<tr><td>{}</td><td class="value">{}</td></tr>')
    return Markup("<table>{}</table>\n").format(Markup("").join(row.format(*each) for each in rows))


def _html_lines(rows: Iterable[object]) -> Markup:
    return Markup("<ul>{}</ul>\n").format(Markup("").join(Markup("<li>{}</li>").format(each) for each in rows))


_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).disable("image")

HTML_PIECES: dict[str, Callable[..., str]] = {
    "p": lambda text: Markup("<p>{}</p>\n").format(text),
    "note": lambda text: Markup('<p class="note">{}</p>\n').format(text),
    "facts": _html_facts,
    "lines": _html_lines,
    "markdown": lambda text: Markup(_MARKDOWN.render(text)),  # noqa: S704 - raw HTML is off
    "whole": lambda text: Markup('<span class="whole">{}</span>').format(text),
    "button": lambda label, url: Markup('<p><a class="button" href="{}">{}</a></p>\n').format(url, label),
}


def text_pieces(language: Language) -> dict[str, Callable[..., str]]:
    """The pieces as plain text; French puts a space before its colon."""
    colon = " :" if language is Language.FR else ":"
    return {
        "p": lambda text: f"{text}\n\n",
        "note": lambda text: f"{text}\n\n",
        "facts": lambda rows: "".join(f"{name}{colon} {value}\n" for name, value in rows) + "\n",
        "lines": lambda rows: "".join(f"- {each}\n" for each in rows) + "\n",
        "markdown": lambda text: f"{text}\n\n",
        "whole": str,
        "button": lambda label, url: f"{label}{colon} {url}\n\n",
    }


def _environment(*, is_html: bool) -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("notifier"),
        autoescape=is_html,  # noqa: S701 - plain text is not HTML
        undefined=jinja2.StrictUndefined,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )


_HTML, _TEXT = _environment(is_html=True), _environment(is_html=False)


def _words(language: Language, *, is_html: bool) -> dict[str, Any]:
    """What a template speaks in: the pieces, ``_`` for sentences, and how amounts and dates are written."""
    catalogue = languages.catalogue(language)

    def translate(french: str, **values: object) -> str:
        said = catalogue.said(french)
        return Markup(said).format(**values) if is_html else said.format(**values)  # noqa: S704 - said is ours

    return {
        **(HTML_PIECES if is_html else text_pieces(language)),
        "_": translate,
        "language": language,
        "euros": lambda cents: languages.euros(cents, language),
        "month": lambda value: languages.month(value, language),
        "day": lambda value: languages.day(value, language),
        "instant": lambda value: languages.instant(value, language),
    }


def in_ascii(address: str) -> str:
    """The address with its domain in the form that every server takes; auth keeps none but those that were kept
    before it did so."""
    local, at, domain = address.rpartition("@")
    try:
        return f"{local}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return address


def write(mail: Mail, settings: Settings) -> EmailMessage:
    """The message. Its Message-ID is the mail's own, so that one sent twice by accident is recognised."""
    event = EVENTS[mail.kind].model_validate(_tamed(mail.event))
    unsubscribe = f"{settings.public_url}/desabonnement/{mail.unsubscribe_key}/{mail.kind}"
    values = {
        "event": event,
        "first_name": one_line(mail.first_name),
        "town": settings.town_name,
        "portal": settings.public_url,
        "unsubscribe": unsubscribe if mail.kind in OPTIONAL else None,
        "token": settings.opened_link(event.sealed_token) if isinstance(event, ResetRequested | EmailGiven) else None,
    }
    text_values = {**values, **_words(mail.language, is_html=False), "layout": "layout.txt"}
    html_values = {**values, **_words(mail.language, is_html=True), "layout": "layout.html"}
    template = _TEXT.get_template(f"{mail.kind}.j2")
    message = EmailMessage()
    message["Subject"] = one_line("".join(template.blocks["subject"](template.new_context(text_values))))
    message["From"] = Address(one_line(settings.town_name), addr_spec=settings.mail_from)
    message["To"] = Address(addr_spec=in_ascii(mail.recipient))
    message["Date"] = format_datetime(now())
    message["Message-ID"] = f"<{mail.mail_id}@{settings.mail_from.partition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    if mail.kind in OPTIONAL:
        message["List-Unsubscribe"] = f"<{unsubscribe}>"
        message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(template.render(text_values))
    html = _HTML.get_template(f"{mail.kind}.j2").render(html_values)
    message.add_alternative(css_inline.inline(html, keep_style_tags=True), subtype="html")
    if isinstance(event, PaymentConfirmed):
        name = f"justificatif-{event.ticket.number}.pdf"
        message.add_attachment(ticket(event.ticket), maintype="application", subtype="pdf", filename=name)
    message["Content-Language"] = mail.language  # last: whatever makes parts moves such a header into the first of them
    return message

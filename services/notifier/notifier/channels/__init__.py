"""How a mail leaves: a channel takes a message, or says how it failed."""

from email.message import EmailMessage
from typing import Protocol

from aiohttp import web


class NeverDeliverable(Exception):  # noqa: N818 - the other side's answer
    """This mail is refused for good."""


class NotDeliveredYet(Exception):  # noqa: N818 - the other side's answer
    """The other side is away or asks for patience."""


class Throttled(NotDeliveredYet):
    """The other side wants fewer mails: every mail to the same domain waits."""


class Channel(Protocol):
    """A way out. SMTP is the only one for now."""

    async def send(self, message: EmailMessage) -> str:
        """Hand the message over; the other side's answer once it has taken it, else one of the failures above."""

    async def stop(self) -> None:
        """Close what is open."""


CHANNEL = web.AppKey("channel", Channel)

"""What a mail server sent back: RFC 3464, read for the mail it speaks of."""

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from hashlib import sha256
from uuid import UUID

MESSAGE_ID = re.compile(r"^(?:Message-ID:)?\s*<([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})@", re.I | re.M)
NOBODY_THERE = frozenset({"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10", "5.2.1"})
"""Statuses that say of the recipient's address that nobody reads it, each by its place in IANA's registry of enhanced
status codes (RFC 3463; 5.1.10 is RFC 7505's): no such mailbox, no such domain, bad syntax, ambiguous, moved without a
new address, a domain that takes no mail, a mailbox that is disabled.

The rest concerns one mail, or us: 5.1.7 and 5.1.8 are the *sender's* address, 5.1.9 the way, 5.2.2 a full mailbox,
5.7.x a policy, and 5.0.0 says nothing but no (« looks like spam »).
"""
STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")
TEXT_MAX = 500
PARTS_MAX, LINES_MAX = 60, 40_000
"""Of a report: far more than a server sends back of our mails. Anybody can write to that mailbox, and parts within
parts cost the parser a look at each line for each of them, and then its stack."""


@dataclass(frozen=True)
class Bounce:
    """Which mail came back (None when it cannot be told), the server's status and words, and whether for good.

    ``fingerprint`` is the same for the same report, whichever way it came.
    """

    mail_id: UUID | None
    status: str
    diagnostic: str
    is_final: bool
    fingerprint: bytes

    @property
    def is_of_the_address(self) -> bool:
        """Whether no mail to this address will arrive."""
        found = STATUS.match(self.status)  # a comment may follow
        return self.is_final and found is not None and found[0] in NOBODY_THERE


def read_bounce(raw: bytes) -> Bounce | None:
    """The bounce in a delivery status notification; None when it is not one."""
    if raw.lower().count(b"content-type") > PARTS_MAX or raw.count(b"\n") + raw.count(b"\r") > LINES_MAX:
        return None
    message = message_from_bytes(raw)
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            fields, mail_id = _fields(part), _mail_id(message)
            action, status = fields.get("action", "").lower(), fields.get("status", "")
            diagnostic = fields.get("diagnostic-code", "") or f"{action} {status}".strip()
            known = [str(mail_id), *(f"{name}:{' '.join(value.split())}" for name, value in sorted(fields.items()))]
            return Bounce(
                mail_id,
                _plain(status, 20),
                _plain(diagnostic, TEXT_MAX),
                is_final=action == "failed" and not status.startswith("4"),
                fingerprint=sha256("\n".join(known).encode(errors="replace")).digest(),
            )
    return None


def _plain(text: str, length_max: int) -> str:
    """One line that a database takes."""
    return " ".join(text.replace("\0", " ").encode(errors="replace").decode().split())[:length_max]


def _fields(part: Message) -> dict[str, str]:
    """The fields of the message and of the first recipient, by their lower-case names."""
    blocks = part.get_payload()
    found: dict[str, str] = {}
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, Message):
            found.update({name.lower(): str(value) for name, value in block.items()})
    return found


def _mail_id(message: Message) -> UUID | None:
    """Our own Message-ID in what is returned, whole or its headers alone; it begins with the mail's id."""
    for part in list(message.walk())[1:]:
        said = str(part.get("Message-ID", ""))
        if part.get_content_type() == "text/rfc822-headers":
            payload = part.get_payload(decode=True)
            said = payload.decode(errors="replace") if isinstance(payload, bytes) else ""
        if ours := MESSAGE_ID.search(said):
            return UUID(ours[1])
    return None

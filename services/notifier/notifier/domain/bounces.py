"""What a mail server sent back: RFC 3464, read for the mail it speaks of."""

import re
from dataclasses import dataclass
from email.message import EmailMessage, Message
from uuid import UUID

MESSAGE_ID = re.compile(rb"^Message-ID:\s*<([0-9a-f-]{36})@", re.IGNORECASE | re.MULTILINE)
TEXT_MAX = 500


@dataclass(frozen=True)
class Bounce:
    """Which mail came back (None when it cannot be told), the server's status and words, and whether for good."""

    mail_id: UUID | None
    status: str
    diagnostic: str
    is_final: bool


def read_bounce(message: EmailMessage) -> Bounce | None:
    """The bounce in a delivery status notification; None when it is not one."""
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            fields = _fields(part)
            action, status = fields.get("action", "").lower(), fields.get("status", "")
            diagnostic = fields.get("diagnostic-code", "") or f"{action} {status}".strip()
            is_final = action == "failed" and not status.startswith("4")
            return Bounce(_mail_id(message), status[:20], " ".join(diagnostic.split())[:TEXT_MAX], is_final)
    return None


def _fields(part: Message) -> dict[str, str]:
    """The fields of the message and of the first recipient, by their lower-case names."""
    blocks = part.get_payload()
    found: dict[str, str] = {}
    for block in blocks if isinstance(blocks, list) else []:
        if isinstance(block, Message):
            found.update({name.lower(): str(value) for name, value in block.items()})
    return found


def _mail_id(message: EmailMessage) -> UUID | None:
    """Our own Message-ID in the returned headers; it begins with the mail's id."""
    ours = MESSAGE_ID.findall(message.as_bytes())
    return UUID(ours[-1].decode()) if ours else None

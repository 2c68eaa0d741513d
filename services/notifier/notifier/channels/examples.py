"""Every mail with the examples of the events in it, to be looked at."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from chassis.encryption import Encryption
from contracts.model import Language
from notifier.channels.letters import EVENTS
from notifier.domain.mails import Kind, Mail
from notifier.settings import Settings

MESSAGE = "# Grève jeudi\n\nLa cantine est **fermée** ; voir [le site](https://ville.example)."
REASON = "Grève du personnel"
TOKEN = b"Zm9yLXRoZS1leGFtcGxlLW9ubHktbm90LXVzZWQ"
SOMEBODY = UUID(int=2)


def event_of(kind: Kind, folder: Path, settings: Settings) -> dict[str, Any]:
    """The event that a mail of this kind tells, from the folder of the contracts' examples; a link opens nothing."""
    contract = EVENTS[kind]
    if kind is Kind.ANNOUNCEMENT:
        return {"markdown": MESSAGE}
    read: dict[str, Any] = json.loads((folder / f"{contract.type}.json").read_text(encoding="utf-8"))  # type: ignore[attr-defined]
    if "sealed_token" in read:
        read["sealed_token"] = Encryption(settings.link_secret, "LINK_SECRET").encrypt(TOKEN).decode()
    return {**read, "reason": REASON} if kind is Kind.CLOSED else read


def mail_of(kind: Kind, language: Language, event: dict[str, Any], first_name: str = "Camille") -> Mail:
    """A mail to nobody."""
    return Mail(UUID(int=1), kind, "camille@example.org", first_name, language, SOMEBODY, event, 1)

"""What notifier needs to know at start."""

from pathlib import Path
from typing import Literal, Self

from aiohttp import web
from pydantic import Field, SecretStr, model_validator

from chassis.encryption import Encryption
from chassis.settings import ServiceSettings

NAME = "notifier"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Settings(ServiceSettings):
    """``MAIL_FROM`` is the sender's address; ``SMTP_TLS`` is ``none`` only towards a server on the same machine.

    ``LINK_SECRET``, auth's too, opens the links that auth has sent by mail; they are kept sealed until then.
    ``BOUNCE_SECRET`` opens the hook for what mail servers send back; without it there is none. ``BOUNCE_IMAP_HOST``
    names the server of the mailbox that ``MAIL_FROM`` is, or forwards to: reports are read there too.
    ``MAIL_EXAMPLES``, in development, is the folder of the contracts' examples: ``/previews`` shows every mail.
    Not more than ``MAILS_A_MINUTE_A_DOMAIN`` go to one domain, whatever the number of replicas. Pauses grow to an
    hour, so that ``MAIL_ATTEMPTS_MAX`` of 200 is more than a week of a mail server away.
    Mails, and the reports that came back of them, are kept ``MAILS_KEPT_DAYS``, which is longer than
    ``EVENTS_KEPT_DAYS``: by what is kept an event that is published again is mailed once.
    """

    town_name: str = Field(min_length=1, max_length=100)
    public_url: str = Field(pattern=r"^https?://[^/]+$")
    mail_from: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    smtp_host: str
    smtp_port: int = Field(gt=0, le=65_535)
    smtp_tls: Literal["none", "starttls", "tls"]
    smtp_username: str | None = None
    smtp_password: str | None = Field(default=None, repr=False)
    smtp_seconds_max: float = Field(default=15, gt=0, le=60)
    smtp_connections_max: int = Field(default=4, gt=0, le=50)
    mails_a_minute_a_domain: int = Field(default=600, gt=0)
    link_secret: SecretStr = Field(min_length=32)
    bounce_secret: SecretStr | None = Field(default=None, min_length=32)
    bounce_imap_host: str | None = None
    bounce_imap_port: int = Field(default=993, gt=0, le=65_535)
    bounce_imap_tls: Literal["none", "tls"] = "tls"
    bounce_imap_username: str | None = None
    bounce_imap_password: SecretStr | None = None
    bounce_imap_folder: str = Field(default="INBOX", pattern=r'^[^"\\\r\n]+$')
    mail_examples: Path | None = None
    mail_retry_seconds: float = Field(default=30, gt=0)
    mail_attempts_max: int = Field(default=200, gt=0)
    mails_kept_days: int = Field(default=400, ge=2)

    @model_validator(mode="after")
    def _mailbox_can_be_opened(self) -> Self:
        if self.bounce_imap_host and not (self.bounce_imap_username and self.bounce_imap_password):
            raise ValueError("BOUNCE_IMAP_HOST wants BOUNCE_IMAP_USERNAME and BOUNCE_IMAP_PASSWORD")
        return self

    @model_validator(mode="after")
    def _events_are_forgotten_before_their_mails(self) -> Self:
        if self.mails_kept_days <= self.events_kept_days:
            raise ValueError("MAILS_KEPT_DAYS is more than EVENTS_KEPT_DAYS")
        return self

    @property
    def dialogue_seconds_max(self) -> float:
        """How long a whole dialogue with the mail server may take: three times what one answer may."""
        return 3 * self.smtp_seconds_max

    def opened_link(self, sealed_token: str) -> str:
        """The token of a link that auth sealed."""
        return Encryption(self.link_secret, "LINK_SECRET").decrypt(sealed_token.encode()).decode()


SETTINGS = web.AppKey("settings", Settings)

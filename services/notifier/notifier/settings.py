"""What notifier needs to know at start."""

from pathlib import Path
from typing import Literal

from aiohttp import web
from pydantic import Field

from chassis.settings import ServiceSettings

NAME = "notifier"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Settings(ServiceSettings):
    """``MAIL_FROM`` is the sender's address; ``SMTP_TLS`` is ``none`` only towards a server on the same machine.

    Pauses grow to an hour, so that ``MAIL_ATTEMPTS_MAX`` of 200 is more than a week of a mail server away.
    """

    town_name: str = Field(min_length=1, max_length=100)
    public_url: str = Field(pattern=r"^https?://[^/]+$")
    mail_from: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    smtp_host: str
    smtp_port: int = Field(gt=0, le=65_535)
    smtp_tls: Literal["none", "starttls", "tls"]
    smtp_username: str | None = None
    smtp_password: str | None = Field(default=None, repr=False)
    smtp_seconds_max: float = Field(default=15, gt=0)
    mail_retry_seconds: float = Field(default=30, gt=0)
    mail_attempts_max: int = Field(default=200, gt=0)


SETTINGS = web.AppKey("settings", Settings)

"""What auth needs to know at start."""

import hashlib
from pathlib import Path

from aiohttp import web
from pydantic import Field, SecretStr

from chassis.encryption import Encryption
from chassis.settings import ServiceSettings

NAME = "auth"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Settings(ServiceSettings):
    """``AUTH_KEY_SECRET`` encrypts the signing keys at rest; whoever has it and the database can sign tokens.
    ``LINK_SECRET``, the notifier's too, encrypts the links of mails from here until the mail is written.

    What is kept for how long: ``SESSIONS_KEPT_DAYS`` after their end, ``DEVICES_KEPT_DAYS`` after their last use,
    ``FACTS_KEPT_DAYS`` (the database refuses less than 180), ``IMPORTS_KEPT_DAYS`` for what a file of families changed.

    ``DEMO_ACCOUNTS`` is for the demo town alone: without it the secret that README prints opens nothing, and set-up
    refuses a database with an account that has it.
    """

    auth_key_secret: SecretStr = Field(min_length=32)
    link_secret: SecretStr = Field(min_length=32)
    town_name: str = Field(min_length=1, max_length=100)
    public_url: str = Field(pattern=r"^https?://[^/]+$")
    session_idle_seconds: int = Field(default=1800, gt=0)
    session_seconds_max: int = Field(default=43_200, gt=0)
    token_seconds: int = Field(default=60, gt=0, le=300)
    link_seconds: int = Field(default=1800, gt=0, le=86_400)
    argon2_time_cost: int = Field(default=2, ge=1)
    argon2_memory_kib: int = Field(default=19_456, ge=8)
    argon2_at_once: int = Field(default=2, ge=1, le=16)
    import_bytes_max: int = Field(default=16_777_216, gt=0)
    sessions_kept_days: int = Field(default=30, ge=1)
    devices_kept_days: int = Field(default=400, ge=1)
    facts_kept_days: int = Field(default=365, ge=181)
    imports_kept_days: int = Field(default=90, ge=1)
    demo_accounts: bool = False

    @property
    def recovery_key(self) -> bytes:
        """What recovery codes are kept under."""
        return hashlib.sha256(b"recovery " + self.auth_key_secret.get_secret_value().encode()).digest()

    @property
    def town_names(self) -> tuple[str, ...]:
        """What no secret may consist of."""
        return (self.town_name, self.public_url.partition("://")[2])

    def sealed_link(self, token: str) -> str:
        """The token of a link, for the notifier alone to read."""
        return Encryption(self.link_secret, "LINK_SECRET").encrypt(token.encode()).decode()


SETTINGS = web.AppKey("settings", Settings)

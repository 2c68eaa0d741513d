"""What auth needs to know at start."""

from pathlib import Path

from aiohttp import web
from pydantic import Field, SecretStr

from chassis.settings import ServiceSettings

NAME = "auth"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Settings(ServiceSettings):
    """``AUTH_KEY_SECRET`` encrypts the signing keys at rest; whoever has it and the database can sign tokens."""

    auth_key_secret: SecretStr = Field(min_length=32)
    session_idle_seconds: int = Field(default=1800, gt=0)
    session_seconds_max: int = Field(default=43_200, gt=0)
    token_seconds: int = Field(default=60, gt=0, le=300)
    argon2_time_cost: int = Field(default=2, ge=1)
    argon2_memory_kib: int = Field(default=19_456, ge=8)
    argon2_at_once: int = Field(default=2, ge=1, le=16)


SETTINGS = web.AppKey("settings", Settings)

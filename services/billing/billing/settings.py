"""What billing needs to know at start."""

from pathlib import Path

from aiohttp import web
from pydantic import Field

from chassis.settings import ServiceSettings

NAME = "billing"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Settings(ServiceSettings):
    """``TOWN_NAME`` stands on invoices; ``TILL_REFERENCE`` is the till that collects.

    A checkout may be paid for ``CHECKOUT_SECONDS``; it is let go ``CHECKOUT_GRACE_SECONDS`` later, when every attempt
    that was begun in time has ended.
    """

    town_name: str = Field(min_length=1, max_length=100)
    till_reference: str = Field(min_length=1, max_length=40)
    checkout_seconds: int = Field(default=86_400, gt=0)
    checkout_grace_seconds: int = Field(default=7_200, ge=0)


SETTINGS = web.AppKey("settings", Settings)

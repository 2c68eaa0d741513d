"""What billing needs to know at start."""

from pathlib import Path

from aiohttp import web
from pydantic import Field

from chassis.settings import ServiceSettings
from contracts.api.billing import Issuer

NAME = "billing"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Settings(ServiceSettings):
    """``TOWN_NAME``, ``TOWN_SIRET`` (14 digits), ``TOWN_ADDRESS`` and ``TOWN_CONTACT`` (whom to ask, on one line) stand
    on invoices; ``TILL_REFERENCE`` is the till that collects, ``TILL_ADDRESS`` where and when one pays at its counter.

    A checkout may be paid for ``CHECKOUT_SECONDS``; it is let go ``CHECKOUT_GRACE_SECONDS`` later, when every attempt
    that was begun in time has ended. With ``PART_CENTS_MIN`` parents may pay a part of what is due, so much at least:
    not less than the bank takes (100 at PayFiP).
    """

    town_name: str = Field(min_length=1, max_length=100)
    town_siret: str = Field(pattern=r"^[0-9]{14}$")
    town_address: str = Field(min_length=1, max_length=200)
    town_contact: str = Field(min_length=1, max_length=200)
    till_reference: str = Field(min_length=1, max_length=40)
    till_address: str = Field(min_length=1, max_length=200)
    checkout_seconds: int = Field(default=86_400, gt=0)
    checkout_grace_seconds: int = Field(default=7_200, ge=0)
    part_cents_min: int | None = Field(default=None, ge=1)

    @property
    def issuer(self) -> Issuer:
        """Who sends documents."""
        return Issuer(
            town=self.town_name,
            siret=self.town_siret,
            address=self.town_address,
            contact=self.town_contact,
            till=self.till_address,
        )


SETTINGS = web.AppKey("settings", Settings)

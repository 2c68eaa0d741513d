"""What the payment gateway needs to know at start."""

from pathlib import Path
from typing import Literal

from aiohttp import web
from pydantic import Field

from chassis.settings import ServiceSettings

NAME = "payment-gateway"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class Settings(ServiceSettings):
    """``PUBLIC_URL`` is the portal as the bank and the parent reach it; ``PAYFIP_*`` is the town's contract.

    ``NOTICES_URL`` is where banks call when they reach the portal by another address than parents do.

    ``PAYFIP_SAISIE``: T for tests, X to activate the account, W for real payments.
    """

    public_url: str = Field(pattern=r"^https?://[^/]+$", max_length=150)
    notices_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$", max_length=150)
    town_name: str = Field(min_length=1, max_length=100)
    payfip_service_url: str = Field(pattern=r"^https?://")
    payfip_payer_url: str = Field(pattern=r"^https?://")
    payfip_numcli: str = Field(pattern=r"^\d{6}$")
    payfip_saisie: Literal["T", "X", "W"]
    bank_seconds_max: float = Field(default=8, gt=0)
    open_seconds: int = Field(default=3_600, ge=960)
    parent_look_up_seconds: float = Field(default=3, ge=0)
    notice_bytes_max: int = 65_536


SETTINGS = web.AppKey("settings", Settings)

"""What the payment gateway needs to know at start."""

from pathlib import Path
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from chassis.settings import ServiceSettings

NAME = "payment-gateway"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


class LyraAccount(BaseModel):
    """One shop at a bank that uses Lyra's form: SystemPay, PayZen, Scellius… ``tills`` name whose money it takes.

    ``key`` is the key of that ``mode`` in the bank's back office (HMAC-SHA-256); ``rest_password`` is the password of
    its REST service for the same mode, by which the bank is asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    site_id: str = Field(pattern=r"^\d{8}$")
    mode: Literal["TEST", "PRODUCTION"]
    key: SecretStr = Field(min_length=16)
    rest_password: SecretStr = Field(min_length=1)
    form_url: str = Field(pattern=r"^https?://")
    rest_url: str = Field(pattern=r"^https?://")
    tills: frozenset[str] = Field(min_length=1)


class Settings(ServiceSettings):
    """``PUBLIC_URL`` is the portal as the bank and the parent reach it; ``PAYFIP_*`` is the town's first contract.

    ``NOTICES_URL`` is where banks call when they reach the portal by another address than parents do.
    ``PAYFIP_SAISIE``: T for tests, X to activate the account, W for real payments. ``LYRA_ACCOUNTS`` is a JSON list of
    ``LyraAccount``. A till that no account names pays at PayFiP. A bank's door keeps so many notifications a payment,
    and so many an hour that name no payment; what comes beyond is counted only. ``WEBHOOK_CHECK`` has the service call
    its own webhooks by ``PUBLIC_URL`` at start and say in its log whether they answer. What was confirmed
    ``REMITTANCE_DAYS`` ago should be in a remittance by now. After ``JOURNAL_DAYS`` the bytes of the banks' words and
    the payers' addresses are forgotten: thirteen months is as long as a payer may contest (Code monétaire et
    financier, L133-24), and one more to answer.
    """

    public_url: str = Field(pattern=r"^https?://[^/]+$", max_length=150)
    notices_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$", max_length=150)
    town_name: str = Field(min_length=1, max_length=100)
    payfip_service_url: str = Field(pattern=r"^https?://")
    payfip_payer_url: str = Field(pattern=r"^https?://")
    payfip_numcli: str = Field(pattern=r"^\d{6}$")
    payfip_saisie: Literal["T", "X", "W"]
    lyra_accounts: tuple[LyraAccount, ...] = ()
    webhook_check: bool = False
    bank_seconds_max: float = Field(default=8, gt=0)
    open_seconds: int = Field(default=3_600, ge=960)
    parent_look_up_seconds: float = Field(default=3, ge=0)
    notice_bytes_max: int = 16_384
    notices_kept_a_payment: int = Field(default=100, gt=0)
    unknown_notices_kept_an_hour: int = Field(default=60, gt=0)
    remittance_days: int = Field(default=5, ge=1)
    journal_days: int = Field(default=427, ge=30)

    @property
    def webhooks_url(self) -> str:
        """Where banks call; each one's name follows."""
        return f"{self.notices_url or self.public_url}/webhooks"


SETTINGS = web.AppKey("settings", Settings)

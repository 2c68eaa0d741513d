"""What the payment gateway needs to know at start."""

import re
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from chassis.settings import ServiceSettings

NAME = "payment-gateway"
MIGRATIONS = Path(__file__).parent.parent / "migrations"


Networks = tuple[IPv4Network | IPv6Network, ...]
"""The addresses a bank says that it calls from, ``192.0.2.0/24`` or one alone; none means that nothing is compared."""


PayFiPMeaning = Literal["card", "debit", "transfer", "refused", "abandoned", "in_progress"]
"""What a result of PayFiP means: how it was paid, or that it was not."""


class LyraAccount(BaseModel):
    """One shop at a bank that uses Lyra's form: SystemPay, PayZen, Scellius… ``tills`` name whose money it takes.

    ``key`` is the key of that ``mode`` in the bank's back office (HMAC-SHA-256); ``rest_password`` is the password of
    its REST service at ``rest_url`` for the same mode. With it the bank is asked before a payment is confirmed; without
    it a signature alone confirms, made with a key that also signs the forms (``docs/payments.md`` says what is risked).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    site_id: str = Field(pattern=r"^[0-9]{8}$")
    mode: Literal["TEST", "PRODUCTION"]
    key: SecretStr = Field(min_length=16)
    rest_password: SecretStr | None = Field(default=None, min_length=1)
    form_url: str = Field(pattern=r"^https?://")
    rest_url: str | None = Field(default=None, pattern=r"^https?://")
    tills: frozenset[str] = Field(min_length=1)
    sources: Networks = ()

    @model_validator(mode="after")
    def _asked_by_both_or_neither(self) -> Self:
        if (self.rest_password is None) != (self.rest_url is None):
            raise ValueError("rest_password and rest_url go together")
        if self.rest_password and self.rest_password.get_secret_value() == self.key.get_secret_value():
            raise ValueError("rest_password is not the key of the form")
        return self


class PayboxAccount(BaseModel):
    """One contract at Paybox, also sold as Up2Pay e-Transactions. ``tills`` name whose money it takes.

    ``key`` is the hexadecimal HMAC key and ``public_key`` the bank's own key (PEM); ``status_url`` is where the bank
    says that it takes payments, ``/load.html`` beside the form. ``door`` is a secret of 24 to 64
    letters and digits: the bank's back office holds ``…/webhooks/paybox-<site>-<rank>?door=<door>`` as the address to
    notify, and nothing else says that a notification is about this account. 3-D Secure wants where a payer lives:
    ``zip_code`` and ``city`` are the town's own, told for a household whose address has no French postal code.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    site: str = Field(pattern=r"^[0-9]{7}$")
    rank: str = Field(pattern=r"^[0-9]{2,3}$")
    identifier: str = Field(pattern=r"^[0-9]{1,9}$")
    mode: Literal["TEST", "PRODUCTION"]
    key: SecretStr
    public_key: str = Field(pattern=r"^-----BEGIN PUBLIC KEY-----")
    door: SecretStr
    form_url: str = Field(pattern=r"^https?://")
    status_url: str = Field(pattern=r"^https?://")
    zip_code: str = Field(pattern=r"^[0-9]{5}$")
    city: str = Field(pattern=r"[A-Za-z]", max_length=50)
    tills: frozenset[str] = Field(min_length=1)
    sources: Networks = ()

    @property
    def account(self) -> str:
        """The contract as the bank writes it."""
        return f"{self.site}-{self.rank}-{self.identifier}"

    @field_validator("key")
    @classmethod
    def _hexadecimal(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch(r"([0-9A-Fa-f]{2}){32,}", key.get_secret_value()):
            raise ValueError("want 64 hexadecimal digits or more")
        return key

    @field_validator("door")
    @classmethod
    def _unguessable(cls, door: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[A-Za-z0-9]{24,64}", door.get_secret_value()):
            raise ValueError("want 24 to 64 letters and digits")
        return door


class StripeAccount(BaseModel):
    """One account at Stripe. ``label`` ends the webhook's address; ``tills`` name whose money it takes.

    ``secret_key`` says the mode; ``webhook_secret`` is that of the webhook ``…/webhooks/stripe-<label>``, which wants
    the events ``checkout.session.completed``, ``checkout.session.expired``, ``checkout.session.async_payment_failed``,
    ``checkout.session.async_payment_succeeded``, ``charge.refunded``, ``charge.dispute.created``,
    ``charge.dispute.closed``, ``refund.failed`` and ``refund.updated``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str = Field(pattern=r"^[a-z0-9-]{1,20}$")
    account: str = Field(pattern=r"^acct_[A-Za-z0-9_]{1,40}$")
    secret_key: SecretStr
    webhook_secret: SecretStr = Field(min_length=16)
    api_url: str = Field(default="https://api.stripe.com", pattern=r"^https?://[^/]+$")
    tills: frozenset[str] = Field(min_length=1)
    sources: Networks = ()

    @field_validator("secret_key")
    @classmethod
    def _of_a_mode(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[sr]k_(test|live)_\w+", key.get_secret_value()):
            raise ValueError("want sk_test_…, sk_live_…, or a restricted key")
        return key

    @model_validator(mode="after")
    def _two_secrets(self) -> Self:
        if self.secret_key.get_secret_value() == self.webhook_secret.get_secret_value():
            raise ValueError("webhook_secret is another secret than secret_key")
        return self


class Settings(ServiceSettings):
    """``PUBLIC_URL`` is the portal as the bank and the parent reach it; ``PAYFIP_*`` is the town's first contract.

    ``NOTICES_URL`` is where banks call when they reach the portal by another address than parents do.
    ``PAYFIP_SAISIE``: T for tests, X to activate the account, W for real payments. ``PAYFIP_RESULTS`` is what each
    letter of ``resultrans`` means, as JSON: ``card``, ``debit`` or ``transfer`` for paid, else ``refused``,
    ``abandoned`` or ``in_progress``; a payment with any other letter is for the till keeper. ``LYRA_ACCOUNTS`` is a
    JSON list of ``LyraAccount``, ``PAYBOX_ACCOUNTS`` of ``PayboxAccount``, ``STRIPE_ACCOUNTS`` of ``StripeAccount``. A
    till that no account names pays at PayFiP. ``sources`` (``PAYFIP_SOURCES``) are the addresses a bank says that it
    calls from: a notification from elsewhere is marked and warned of, never refused, for an address proves nothing.

    A bank's door keeps so many notifications a payment, and so many an hour that name no payment: those without a
    signature of the bank's (``UNKNOWN_NOTICES_KEPT_AN_HOUR``) never take the room of those with one
    (``SIGNED_NOTICES_KEPT_AN_HOUR``). What comes beyond is counted only. ``WEBHOOK_CHECK`` has the service call its own
    webhooks by ``PUBLIC_URL`` at start and say in its log whether they answer. What was confirmed ``REMITTANCE_DAYS``
    ago should be in a remittance by now. After ``JOURNAL_DAYS`` the bytes of the banks' words and the payers' names and
    addresses are forgotten: thirteen months is as long as a payer may contest (Code monétaire et financier, L133-24),
    and one more to answer.
    """

    public_url: str = Field(pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$", max_length=150)
    notices_url: str | None = Field(default=None, pattern=r"^https?://[A-Za-z0-9.:\[\]-]+$", max_length=150)
    town_name: str = Field(min_length=1, max_length=100)
    payfip_service_url: str = Field(pattern=r"^https?://")
    payfip_payer_url: str = Field(pattern=r"^https?://")
    payfip_numcli: str = Field(pattern=r"^[0-9]{6}$")
    payfip_saisie: Literal["T", "X", "W"]
    payfip_sources: Networks = ()
    payfip_results: dict[Annotated[str, StringConstraints(pattern=r"^[!-~]{1,10}$")], PayFiPMeaning] = Field(
        default={"P": "card", "V": "debit", "A": "abandoned", "R": "refused", "Z": "refused"}
    )
    lyra_accounts: tuple[LyraAccount, ...] = ()
    paybox_accounts: tuple[PayboxAccount, ...] = ()
    stripe_accounts: tuple[StripeAccount, ...] = ()
    webhook_check: bool = False
    bank_seconds_max: float = Field(default=8, gt=0)
    open_seconds: int = Field(default=3_600, ge=960)
    parent_look_up_seconds: float = Field(default=3, ge=0)
    notice_bytes_max: int = 16_384
    notices_kept_a_payment: int = Field(default=100, gt=0)
    unknown_notices_kept_an_hour: int = Field(default=60, gt=0)
    signed_notices_kept_an_hour: int = Field(default=1_000, gt=0)
    remittance_days: int = Field(default=5, ge=1)
    journal_days: int = Field(default=427, ge=30)

    @model_validator(mode="after")
    def _one_account_each(self) -> Self:
        """Two accounts of one name would share a webhook, and of one till its money would go to either."""
        named = [f"lyra-{each.site_id}" for each in self.lyra_accounts]
        named += [f"paybox-{each.site}-{each.rank}" for each in self.paybox_accounts]
        named += [f"stripe-{each.label}" for each in self.stripe_accounts]
        with_tills: tuple[LyraAccount | PayboxAccount | StripeAccount, ...]
        with_tills = (*self.lyra_accounts, *self.paybox_accounts, *self.stripe_accounts)
        for once in (named, [till for each in with_tills for till in each.tills]):
            if twice := {each for each in once if once.count(each) > 1}:
                raise ValueError(f"named by two accounts: {', '.join(sorted(twice))}")
        return self

    @property
    def webhooks_url(self) -> str:
        """Where banks call; each one's name follows."""
        return f"{self.notices_url or self.public_url}/webhooks"


SETTINGS = web.AppKey("settings", Settings)

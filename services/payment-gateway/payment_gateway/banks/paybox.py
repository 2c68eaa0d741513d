"""Paybox, also sold as Up2Pay e-Transactions: a form signed by us, a notification signed by the bank. See PAYMENTS, 3.

Requests are signed with the shared HMAC key, notifications with the bank's private key: no form can become a
notification. But the bank signs what a form's PBX_RETOUR asks it to tell, under the names chosen there, so a payer who
could read another PBX_RETOUR into our signature would choose what the bank signs. The HMAC covers ``name=value`` joined
by ``&``: no value of a form (``FORM``) holds a ``&``, so it can be parted in one way only.

The bank signs every merchant's notifications with one key, and they name no merchant. So ours come to an address that
only this account's back office holds: its ``door``, a secret. The bank cannot be asked about a payment whose
notification is lost.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import parse_qsl, unquote_to_bytes
from uuid import UUID

import aiohttp
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from chassis.clock import PARIS
from contracts.api.payment_gateway import PayerForm
from contracts.events.billing import CheckoutOpened
from contracts.events.payment import Means, Mode
from payment_gateway.banks import Forged, Heard, Notice, Opened, Unreadable, cents, signing
from payment_gateway.domain.failures import BankCannot, BankUnreachable
from payment_gateway.domain.payers import Payer, payer_of
from payment_gateway.domain.payments import Answer, Attempt, Word
from payment_gateway.settings import PayboxAccount, Settings

EURO, FRANCE = "978", "250"
XML = '<?xml version="1.0" encoding="utf-8"?>'
VARIABLES = {"amount": "M", "ref": "R", "auth": "A", "error": "E", "call": "T", "trans": "S", "day": "W", "hour": "Q"}
"""What the bank is asked to tell, and its letter for each; ``sign`` comes last. Some come on a success only."""
WANTED = ";".join(f"{name}:{letter}" for name, letter in VARIABLES.items()) + ";sign:K"
_REFUSED = "00003 00004 00006 00008 00009 00010 00011 00016 00021 00029 00033 00040"
WORDS = {"00000": Word.PAID, "00001": Word.ABANDONED, "00030": Word.ABANDONED, "99999": Word.IN_PROGRESS}
WORDS |= dict.fromkeys(_REFUSED.split(), Word.REFUSED)
"""What a code means; 001xx, the payer's bank refusing, beside these. Any other is for a person to look at."""
PAID_BEFORE = "00015"
FORM = signing.shapes_of(
    PBX_SITE="[0-9]{7}",
    PBX_RANG="[0-9]{2,3}",
    PBX_IDENTIFIANT="[0-9]{1,9}",
    PBX_TOTAL=signing.CENTS,
    PBX_DEVISE=EURO,
    PBX_CMD="[0-9A-F]{32}",
    PBX_PORTEUR=r"[A-Za-z0-9.!#$%*+/?^_{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+",
    PBX_RETOUR=re.escape(WANTED),
    PBX_EFFECTUE=signing.WEB_ADDRESS,
    PBX_REFUSE=signing.WEB_ADDRESS,
    PBX_ANNULE=signing.WEB_ADDRESS,
    PBX_ATTENTE=signing.WEB_ADDRESS,
    PBX_RUF1="POST",
    PBX_LANGUE="FRA",
    PBX_SHOPPINGCART=re.escape(XML) + "(</?[A-Za-z]+>|[0-9])+",
    PBX_BILLING=re.escape(XML) + "(</?[A-Za-z0-9]+>|[A-Za-z0-9 .-])+",
    PBX_HASH="SHA512",
    PBX_TIME=r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[+-][0-9]{2}:[0-9]{2}",
)
"""Every field of a form and what its value may be. A payer chooses PBX_PORTEUR and parts of PBX_BILLING."""


def signature(fields: Iterable[tuple[str, str]], key: str) -> str:
    """PBX_HMAC: upper-case hex of HMAC-SHA-512 over ``name=value`` in the form's order; ``key`` is in hex."""
    text = "&".join(f"{name}={value}" for name, value in fields).encode()
    return hmac.new(bytes.fromhex(key), text, hashlib.sha512).hexdigest().upper()


def cart(invoices: int) -> str:
    """PBX_SHOPPINGCART: how many things are bought, 1 to 99."""
    return f"{XML}<shoppingcart><total><totalQuantity>{min(invoices, 99)}</totalQuantity></total></shoppingcart>"


def billing(payer: Payer) -> str:
    """PBX_BILLING: who pays and where they live, for the bank's 3-D Secure; letters that need no escape."""
    told = {"FirstName": payer.first_name, "LastName": payer.last_name, "Address1": payer.street}
    told |= {"Address2": payer.more} if payer.more else {}
    told |= {"ZipCode": payer.zip_code, "City": payer.city, "CountryCode": FRANCE}
    fields = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
    return f"{XML}<Billing><Address>{fields}</Address></Billing>"


class Paybox:
    """The driver of one contract: site, rank and identifier, in one mode."""

    can_be_asked, can_refund = False, False

    def __init__(self, settings: Settings, account: PayboxAccount) -> None:
        self.name = f"paybox-{account.site}-{account.rank}"
        self.sources, self.account, self.tills = account.sources, account.account, account.tills
        self.mode = Mode.TEST if account.mode == "TEST" else Mode.PRODUCTION
        self._ours, self._public_url = account, settings.public_url
        self._bank_key = bank_key(account.public_key)
        self._timeout = aiohttp.ClientTimeout(total=settings.bank_seconds_max)
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the HTTP client."""
        self._http = aiohttp.ClientSession(timeout=self._timeout)

    async def stop(self) -> None:
        """Close the HTTP client."""
        if self._http:
            await self._http.close()

    async def check(self) -> None:
        """The payment server's own page says that it takes payments; the account shows with the first form only."""
        assert self._http is not None, "the bank is asked before the start"
        try:
            async with self._http.get(self._ours.status_url) as response:
                page = await response.content.read(4_096)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise BankUnreachable("the bank does not answer", retry_after_seconds=10) from error
        if not re.search(rb"server_status[^>]*>\s*OK\s*<", page):
            raise BankUnreachable("the bank takes no payments now", retry_after_seconds=60)

    def reference(self, _checkout: CheckoutOpened, payment_id: UUID) -> str:
        """PBX_CMD: up to 250 characters."""
        return payment_id.hex.upper()

    def can_tell(self, payer_email: str) -> bool:
        """PBX_PORTEUR may not be left out, and holds neither ``&`` nor ``=``."""
        return FORM["PBX_PORTEUR"].fullmatch(payer_email) is not None

    async def open(self, attempt: Attempt) -> Opened:
        """Nothing is asked of the bank: the parent's browser brings it the form."""
        return Opened(attempt.reference, f"{self._public_url}/paiements/{attempt.payment_id}/banque")

    def form(self, attempt: Attempt) -> PayerForm | None:
        """The form of an attempt, the same each time; where the bank notifies is set in its back office, unseen."""
        back = f"{self._public_url}/paiements/{attempt.payment_id}/retour"
        fields = (
            ("PBX_SITE", self._ours.site),
            ("PBX_RANG", self._ours.rank),
            ("PBX_IDENTIFIANT", self._ours.identifier),
            ("PBX_TOTAL", str(attempt.amount_cents)),
            ("PBX_DEVISE", EURO),
            ("PBX_CMD", attempt.reference),
            ("PBX_PORTEUR", attempt.payer_email),
            ("PBX_RETOUR", WANTED),
            ("PBX_EFFECTUE", back),
            ("PBX_REFUSE", back),
            ("PBX_ANNULE", back),
            ("PBX_ATTENTE", back),
            ("PBX_RUF1", "POST"),
            ("PBX_LANGUE", "FRA"),
            ("PBX_SHOPPINGCART", cart(len(attempt.checkout.invoices))),
            ("PBX_BILLING", self._billing(attempt)),
            ("PBX_HASH", "SHA512"),
            ("PBX_TIME", attempt.created_at.astimezone(PARIS).isoformat(timespec="seconds")),
        )
        checked = signing.checked(fields, FORM)
        made = signature(checked, self._ours.key.get_secret_value())
        return PayerForm(action=self._ours.form_url, fields=(*checked, ("PBX_HMAC", made)))

    def _billing(self, attempt: Attempt) -> str:
        address = attempt.checkout.household_address
        return billing(payer_of(attempt.payer_name, address, zip_code=self._ours.zip_code, city=self._ours.city))

    async def ask(self, _attempt: Attempt) -> Heard:
        """Never called: see ``can_be_asked``."""
        raise BankCannot("this bank tells its results in its notifications and its back office only")

    async def close(self, _attempt: Attempt) -> None:
        """The bank's page closes by itself only."""

    async def refund(self, _attempt: Attempt, _amount_cents: int, _key: str) -> Heard:
        """Refunds are made in the bank's back office."""
        raise BankCannot("this bank refunds in its back office only")

    def read_notice(self, query: str, body: bytes, _headers: Mapping[str, str]) -> Notice:
        """The variables asked for, in their order, signed as they came; in the body, or in the query by GET.

        The signature comes last and covers all that is before it, undecoded: a ``&`` or ``=`` within a value is
        percent-encoded there, so what is verified is read in one way only.
        """
        raw_query = query.encode("utf-8", "surrogateescape")
        if not self._is_our_door(raw_query):
            raise Forged("not at this account's own address")
        told = [part for part in (body or raw_query).split(b"&") if part.partition(b"=")[0] != b"door"]
        name, _, made = (told.pop() if told else b"").partition(b"=")
        if name != b"sign":
            raise Forged("no signature at its end")
        try:
            given = base64.b64decode(unquote_to_bytes(made), validate=True)
            self._bank_key.verify(given, b"&".join(told), PKCS1v15(), SHA1())  # noqa: S303 - the bank's own choice
        except (binascii.Error, InvalidSignature) as error:
            raise Forged("the signature is not the bank's") from error
        pairs = parse_qsl(b"&".join(told).decode("ascii", "replace"), keep_blank_values=True)
        known, names = dict(reversed(pairs)), [name for name, _ in pairs]  # of a name that comes twice, the first
        left = {"reference": known.get("ref"), "amount": known.get("amount"), "result": known.get("error")}
        if len(pairs) != len(told) or names != [name for name in VARIABLES if name in names]:
            raise Unreadable("not the variables that were asked for", **left)
        try:
            return self._read(known)
        except (KeyError, ValueError) as error:
            raise Unreadable(repr(error), **left) from error

    def _is_our_door(self, query: bytes) -> bool:
        doors = [part[5:] for part in query.split(b"&") if part.startswith(b"door=")]
        return len(doors) == 1 and hmac.compare_digest(doors[0], self._ours.door.get_secret_value().encode())

    def _read(self, given: Mapping[str, str]) -> Notice:
        if not re.fullmatch(r"[0-9]{5}", given["error"]):
            raise ValueError("no code")
        if given["error"] == PAID_BEFORE:
            return Notice(given["ref"])  # says what another notification said; nothing moved this time
        is_refused = given["error"].startswith("001")
        word = Word.REFUSED if is_refused else WORDS.get(given["error"], Word.UNRECOGNISED)
        answer = Answer(
            word=word,
            amount_cents=cents(given["amount"]),
            account=self.account,
            mode=self.mode,
            reference=given["ref"],
            means=Means.CARD,
            authorisation=given.get("auth") or None,
            at=_instant(given["day"], given["hour"]) if word is Word.PAID else None,
            result=given["error"] if word is Word.UNRECOGNISED else None,
        )
        return Notice(given["ref"], answer)


def bank_key(pem: str) -> RSAPublicKey:
    """The bank's public key; ``ValueError`` when it is none."""
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("not an RSA key")  # noqa: TRY004 - a setting's value, not a caller's mistake
    return key


def _instant(day: str, hour: str) -> datetime:
    """``W`` is DDMMYYYY and ``Q`` HH:MM:SS, in Paris."""
    if not re.fullmatch(r"[0-9]{8} [0-9]{2}:[0-9]{2}:[0-9]{2}", text := f"{day} {hour}"):
        raise ValueError("not an instant")
    return datetime.strptime(text, "%d%m%Y %H:%M:%S").replace(tzinfo=PARIS)

"""PayFiP Régie of the DGFiP: SOAP, and a notification without signature that is only a hint. See PAYMENTS facts."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

import aiohttp
from lxml import etree

from chassis.clock import PARIS, now
from contracts.api.payment_gateway import PayerForm
from contracts.events.billing import CheckoutOpened
from contracts.events.payment import Means, Mode
from payment_gateway.banks import Forged, Heard, Notice, Opened, cents, whole
from payment_gateway.domain.failures import BankCannot, BankRefused, BankUnreachable
from payment_gateway.domain.payments import Answer, Attempt, Word
from payment_gateway.settings import Settings

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SERVICE = (
    "http://securite.service.tpa.cp.finances.gouv.fr/services/mas_securite/"
    "contrat_paiement_securise/PaiementSecuriseService"
)
NO_RESULT_YET, UNKNOWN_OPERATION = "P5", "P1"
MAIL = re.compile(r"(?=.{6,80}$)[^@\s]+@[^@\s]+")
PAID_BY = {"card": Means.CARD, "debit": Means.DEBIT, "transfer": Means.TRANSFER}


class Fault(Exception):  # noqa: N818 - the bank's own word for it
    """A SOAP fault whose meaning depends on the operation, with the bytes it came in."""

    def __init__(self, code: str, label: str, body: bytes) -> None:
        super().__init__(f"{code} {label}".strip())
        self.code, self.label, self.body = code, label, body


class PayFiP:
    """The driver of one account (numcli)."""

    name = "payfip"
    can_be_asked, can_refund = True, False

    def __init__(self, settings: Settings) -> None:
        self.account = settings.payfip_numcli
        self.mode = _mode(settings.payfip_saisie)
        self.tills: frozenset[str] = frozenset()
        self.sources = settings.payfip_sources
        self._settings = settings
        self._http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the HTTP client."""
        timeout = aiohttp.ClientTimeout(total=self._settings.bank_seconds_max)
        self._http = aiohttp.ClientSession(timeout=timeout)

    async def stop(self) -> None:
        """Close the HTTP client."""
        if self._http:
            await self._http.close()

    async def check(self) -> None:
        """recupererDetailClient: the bank knows this numcli."""
        try:
            await self._call("recupererDetailClient", {"numCli": self.account})
        except Fault as fault:
            raise BankRefused("the bank does not know this numcli", bank_code=fault.code) from fault

    def form(self, _attempt: Attempt) -> PayerForm | None:
        """PayFiP's page is an address, not a form."""
        return None

    def reference(self, checkout: CheckoutOpened, payment_id: UUID) -> str:
        """refdet: 6 to 30 letters and digits, the first invoice's number made unique."""
        number = re.sub(r"[^A-Za-z0-9]", "", checkout.invoices[0].number)[:14]
        return f"{number}{payment_id.hex[:16]}".upper()

    def can_tell(self, payer_email: str) -> bool:
        """mel: 6 to 80 characters."""
        return MAIL.fullmatch(payer_email) is not None

    async def open(self, attempt: Attempt) -> Opened:
        """creerPaiementSecurise: the payer has 15 minutes to open the page."""
        portal = self._settings.public_url
        numbers = ", ".join(invoice.number for invoice in attempt.checkout.invoices)
        fields = {
            "exer": str(now().astimezone(PARIS).year),
            "mel": attempt.payer_email,
            "montant": f"{attempt.amount_cents:03d}",
            "numcli": self.account,
            "objet": plain(f"Factures {numbers}"),
            "refdet": attempt.reference,
            "saisie": self._settings.payfip_saisie,
            "urlnotif": f"{self._settings.webhooks_url}/{self.name}",
            "urlredirect": f"{portal}/paiements/{attempt.payment_id}/retour",
        }
        try:
            answer, _body = await self._call("creerPaiementSecurise", fields)
        except Fault as fault:
            raise BankRefused("the bank would not open the payment", bank_code=fault.code) from fault
        id_op = answer.get("idOp")
        if not id_op:
            raise BankUnreachable("the bank gave no reference")
        return Opened(id_op, f"{self._settings.payfip_payer_url}?{urlencode({'idop': id_op})}")

    async def ask(self, attempt: Attempt) -> Heard:
        """recupererDetailPaiementSecurise: the only word that is believed."""
        try:
            fields, body = await self._call("recupererDetailPaiementSecurise", {"idOp": attempt.bank_reference or ""})
        except Fault as fault:
            meaning = {NO_RESULT_YET: Word.IN_PROGRESS, UNKNOWN_OPERATION: Word.UNKNOWN}.get(fault.code)
            if meaning is None:
                raise BankUnreachable("the bank answers with a fault", bank_code=fault.code) from fault
            return Heard(Answer(meaning), fault.body)
        try:
            return Heard(self._answer(fields), body)
        except (KeyError, ValueError) as error:
            raise BankUnreachable(f"the bank's answer cannot be read: {error}") from error

    def _answer(self, fields: Mapping[str, str]) -> Answer:
        """A result whose letter the settings do not know is for a person to look at."""
        result = fields["resultrans"]
        meaning = self._settings.payfip_results.get(result, "")
        means = PAID_BY.get(meaning)
        word = Word.PAID if means else Word(meaning) if meaning else Word.UNRECOGNISED
        when = datetime.strptime(fields["dattrans"] + fields["heurtrans"], "%d%m%Y%H%M").replace(tzinfo=PARIS)
        return Answer(
            word=word,
            amount_cents=cents(fields["montant"]),
            account=fields["numcli"],
            mode=_mode(fields["saisie"]),
            reference=fields["refdet"],
            means=means,
            authorisation=fields.get("numauto") or None,
            at=when,
            result=result if word is Word.UNRECOGNISED else None,
        )

    async def close(self, _attempt: Attempt) -> None:
        """The bank's page closes by itself only."""

    async def refund(self, _attempt: Attempt, _amount_cents: int, _key: str) -> Heard:
        """Refunds are made in the bank's back office."""
        raise BankCannot("this bank refunds in its back office only")

    def read_notice(self, query: str, body: bytes, _headers: Mapping[str, str]) -> Notice:
        """``idop``, also seen as ``idOp``, in the query or in a form: never more than a hint."""
        try:
            given = parse_qs(query, max_num_fields=50), parse_qs(body.decode("ascii"), max_num_fields=50)
        except ValueError as error:
            raise Forged("not a form") from error
        found = [value for form in given for name, values in form.items() if name.lower() == "idop" for value in values]
        if len(set(found)) != 1 or not re.fullmatch(r"[A-Za-z0-9_-]{6,64}", found[0]):
            raise Forged("no idop, or several")
        return Notice(found[0], is_signed=False)

    async def _call(self, operation: str, arguments: Mapping[str, str]) -> tuple[dict[str, str], bytes]:
        assert self._http is not None, "the bank is asked before the start"
        headers = {"Content-Type": "text/xml; charset=utf-8", "SOAPAction": '""'}
        try:
            async with self._http.post(
                self._settings.payfip_service_url, data=envelope(operation, arguments), headers=headers
            ) as response:
                body = await whole(response)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise BankUnreachable("the bank does not answer", retry_after_seconds=10) from error
        return read(body), body


def _mode(saisie: str) -> Mode:
    return Mode.PRODUCTION if saisie == "W" else Mode.TEST


LIGATURES = str.maketrans({"œ": "oe", "Œ": "OE", "æ": "ae", "Æ": "AE"})
"""Letters that Unicode does not decompose."""


def plain(text: str) -> str:
    """objet: at most 100 letters, digits and spaces; accents and « œ » are folded, other signs dropped, spaces kept
    single."""
    folded = unicodedata.normalize("NFKD", re.sub(r"\s", " ", text.translate(LIGATURES)))
    folded = folded.encode("ascii", "ignore").decode()
    return re.sub(r" +", " ", re.sub(r"[^A-Za-z0-9 ]", "", folded)).strip()[:100].rstrip()


def envelope(operation: str, arguments: Mapping[str, str]) -> bytes:
    """A SOAP 1.1 request; ``arg0`` and its fields are unqualified, in the order given."""
    root: Any = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soapenv": SOAP, "pai": SERVICE})
    body = etree.SubElement(root, f"{{{SOAP}}}Body")
    argument = etree.SubElement(etree.SubElement(body, f"{{{SERVICE}}}{operation}"), "arg0")
    for name, value in arguments.items():
        etree.SubElement(argument, name).text = value
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def read(body: bytes) -> dict[str, str]:
    """The fields of ``return``; ``Fault`` for a functional fault, ``BankUnreachable`` for any other."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root: Any = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise BankUnreachable("the bank does not answer in XML", retry_after_seconds=10) from error
    fault = root.find(f"{{{SOAP}}}Body/{{{SOAP}}}Fault")
    if fault is not None:
        said = {etree.QName(each).localname: each.text or "" for each in fault.iter(etree.Element)}
        if "FonctionnelleErreur" not in said or not said.get("code"):
            raise BankUnreachable("the bank says that it cannot", bank_code=said.get("code"), retry_after_seconds=10)
        raise Fault(said["code"], said.get("libelle", ""), body)
    answer = root.find(f"{{{SOAP}}}Body//return")
    if answer is None:
        raise BankUnreachable("the bank's answer is not one", retry_after_seconds=10)
    return {each.tag: (each.text or "").strip() for each in answer}

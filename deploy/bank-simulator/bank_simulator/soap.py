"""The SOAP service: it checks as the bank does and answers with the bank's codes."""

import re
from datetime import datetime
from typing import Any

from lxml import etree

from bank_simulator.book import Book, Operation
from bank_simulator.faults import Faults

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
SERVICE = (
    "http://securite.service.tpa.cp.finances.gouv.fr/services/mas_securite/"
    "contrat_paiement_securise/PaiementSecuriseService"
)
ASKED = ("exer", "mel", "montant", "numcli", "objet", "refdet", "saisie", "urlnotif", "urlredirect")
CHECKS = (
    ("numcli", r"\d{6}", "T1", "Numéro de client inconnu"),
    ("refdet", r"[A-Za-z0-9]{6,30}", "R3", "Référence de dette incorrecte"),
    ("mel", r"(?=.{6,80}$)[^@\s]+@[^@\s]+", "A2", "Adresse électronique incorrecte"),
    ("montant", r"\d{3,8}", "M3", "Montant incorrect"),
    ("objet", r"[A-Za-z0-9 ]{0,100}", "O1", "Objet incorrect"),
    ("saisie", r"[TXW]", "S1", "Type de saisie incorrect"),
    ("urlnotif", r"https?://.{1,240}", "N1", "Adresse de notification incorrecte"),
    ("urlredirect", r"https?://.{1,240}", "D1", "Adresse de redirection incorrecte"),
)
DIFFERENT = {"account": {"numcli": "999999"}, "mode": {"saisie": "W"}, "reference": {"refdet": "AUTRE00001"}}
"""What a switch makes the bank say of a test payment; PayFiP knows no currency."""


class Refused(Exception):  # noqa: N818 - a fault as the bank names it
    """A SOAP fault: its kind, code and label."""

    def __init__(self, kind: str, code: str, label: str) -> None:
        super().__init__(label)
        self.kind, self.code, self.label = kind, code, label


def serve(body: bytes, book: Book, faults: Faults) -> tuple[int, bytes]:
    """Answer one request: HTTP status and bytes."""
    try:
        return 200, _answer(body, book, faults)
    except Refused as refused:
        return 500, _write_fault(refused)


def _answer(body: bytes, book: Book, faults: Faults) -> bytes:
    if faults.service_down:
        raise Refused("TechIndisponibiliteErreur", "I1", "Service indisponible")
    operation, fields = _read(body)
    answers = {
        "creerPaiementSecurise": _open,
        "recupererDetailPaiementSecurise": _detail,
        "recupererDetailClient": _client,
    }
    if operation not in answers:
        raise Refused("TechProtocolaireErreur", "X1", "Opération inconnue")
    return _write(f"{operation}Response", answers[operation](fields, book, faults))


def _open(fields: dict[str, str], book: Book, _faults: Faults) -> dict[str, str]:
    for name, pattern, code, label in CHECKS:
        if not re.fullmatch(pattern, fields.get(name, "")):
            raise Refused("FonctionnelleErreur", code, label)
    cents = int(fields["montant"])
    if not 100 <= cents <= 10_000_000:
        raise Refused("FonctionnelleErreur", "M3" if cents < 100 else "M5", "Montant hors limites")
    return {"idOp": book.open({name: fields.get(name, "") for name in ASKED}).id_op}


def _detail(fields: dict[str, str], book: Book, faults: Faults) -> dict[str, str]:
    operation = book.operations.get(fields.get("idOp", ""))
    if operation is None or operation.protocol != "payfip" or not operation.page_shown:
        raise Refused("FonctionnelleErreur", "P1", "Opération inconnue")
    if not operation.result_is_told:
        raise Refused("FonctionnelleErreur", "P5", "Résultat de l'opération non connu")
    return _result(operation, faults)


def _result(operation: Operation, faults: Faults) -> dict[str, str]:
    assert operation.result
    assert operation.result_at
    at = datetime.fromisoformat(operation.result_at)
    asked = operation.asked
    result = {
        "dattrans": at.strftime("%d%m%Y"),
        "exer": asked["exer"],
        "heurtrans": at.strftime("%H%M"),
        "idOp": operation.id_op,
        "mel": asked["mel"],
        "montant": str(int(asked["montant"]) + faults.amount_offset_cents),
        "numcli": asked["numcli"],
        "objet": asked["objet"],
        "refdet": asked["refdet"],
        "resultrans": faults.result_code or operation.result,
        "saisie": asked["saisie"],
    }
    result.update(DIFFERENT.get(faults.differs, {}))
    return {**result, "numauto": operation.authorisation} if operation.authorisation else result


def _client(fields: dict[str, str], _book: Book, _faults: Faults) -> dict[str, str]:
    if not re.fullmatch(r"\d{6}", fields.get("numCli", "")):
        raise Refused("FonctionnelleErreur", "T1", "Numéro de client inconnu")
    return {"libelleN1": "Collectivité d'essai", "numcli": fields["numCli"]}


def _read(body: bytes) -> tuple[str, dict[str, str]]:
    try:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
        root: Any = etree.fromstring(body, parser)
        call = root.find(f"{{{SOAP}}}Body")[0]
        fields = {each.tag: each.text or "" for each in call.find("arg0")}
    except (etree.XMLSyntaxError, ValueError, TypeError, IndexError) as error:
        raise Refused("TechProtocolaireErreur", "X2", "Message illisible") from error
    name = etree.QName(call)
    return (name.localname if name.namespace == SERVICE else "", fields)


def _write(name: str, fields: dict[str, str]) -> bytes:
    root: Any = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP, "ns2": SERVICE})
    answer = etree.SubElement(etree.SubElement(root, f"{{{SOAP}}}Body"), f"{{{SERVICE}}}{name}")
    returned = etree.SubElement(answer, "return")
    for field, value in fields.items():
        etree.SubElement(returned, field).text = value
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _write_fault(refused: Refused) -> bytes:
    root: Any = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"soap": SOAP, "ns2": SERVICE})
    fault = etree.SubElement(etree.SubElement(root, f"{{{SOAP}}}Body"), f"{{{SOAP}}}Fault")
    etree.SubElement(fault, "faultcode").text = "soap:Server"
    etree.SubElement(fault, "faultstring").text = refused.label
    detail = etree.SubElement(etree.SubElement(fault, "detail"), f"{{{SERVICE}}}{refused.kind}")
    for name, value in (("code", refused.code), ("descriptif", refused.label), ("libelle", refused.label)):
        etree.SubElement(detail, name).text = value
    etree.SubElement(detail, "severite").text = "2"
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")

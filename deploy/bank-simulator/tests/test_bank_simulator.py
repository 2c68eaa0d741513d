"""The stand-in bank keeps its own book, and fails only when told to."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestClient

from bank_simulator.app import build
from bank_simulator.book import Book
from bank_simulator.soap import SERVICE, SOAP


def request(operation: str, **fields: str) -> bytes:
    inner = "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:p="{SERVICE}"><s:Body><p:{operation}><arg0>{inner}</arg0>'
        f"</p:{operation}></s:Body></s:Envelope>"
    ).encode()


ASKED = {
    "exer": "2026",
    "mel": "parent@example.org",
    "montant": "4250",
    "numcli": "123456",
    "objet": "Factures",
    "refdet": "F2026000001",
    "saisie": "T",
    "urlnotif": "http://127.0.0.1:9/webhooks/payfip",
    "urlredirect": "http://127.0.0.1:9/retour",
}


@pytest.fixture
async def bank(aiohttp_client: Any, tmp_path: Path) -> TestClient[Any, Any]:
    client: TestClient[Any, Any] = await aiohttp_client(build(tmp_path))
    return client


async def call(bank: TestClient[Any, Any], operation: str, **fields: str) -> str:
    response = await bank.post("/tpa/services/securite", data=request(operation, **fields))
    return await response.text()


async def opened(bank: TestClient[Any, Any]) -> str:
    answer = await call(bank, "creerPaiementSecurise", **ASKED)
    return answer.split("<idOp>")[1].split("<")[0]


async def test_a_card_pays_once_and_the_book_survives(bank: TestClient[Any, Any], tmp_path: Path) -> None:
    id_op = await opened(bank)
    assert "<code>P1</code>" in await call(bank, "recupererDetailPaiementSecurise", idOp=id_op)
    assert (await bank.get("/tpa/paiementws.web", params={"idop": id_op})).status == 200
    assert "<code>P5</code>" in await call(bank, "recupererDetailPaiementSecurise", idOp=id_op)
    for _ in range(2):
        form = FormData({"idop": id_op, "card": "4970 1000 0000 0006", "pay": ""})
        response = await bank.post("/tpa/payer", data=form, allow_redirects=False)
        assert response.headers["Location"] == ASKED["urlredirect"]
    answer = await call(bank, "recupererDetailPaiementSecurise", idOp=id_op)
    assert "<resultrans>P</resultrans>" in answer
    assert "<montant>4250</montant>" in answer
    kept = Book(tmp_path).operations[id_op]
    assert kept.result == "P"
    assert kept.took_money


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [("refdet", "abcd", "R3"), ("mel", "nobody", "A2"), ("montant", "099", "M3"), ("numcli", "12", "T1")],
)
async def test_what_the_bank_refuses(bank: TestClient[Any, Any], field: str, value: str, code: str) -> None:
    assert f"<code>{code}</code>" in await call(bank, "creerPaiementSecurise", **{**ASKED, field: value})


async def test_switches(bank: TestClient[Any, Any]) -> None:
    assert (await bank.put("/api/faults", json={"service_down": "yes"})).status == 422
    assert (await bank.put("/api/faults", json={"notice": "sometimes"})).status == 422
    assert (await (await bank.put("/api/faults", json={"service_down": True})).json())["service_down"]
    assert "TechIndisponibiliteErreur" in await call(bank, "creerPaiementSecurise", **ASKED)


async def test_switches_by_the_page(bank: TestClient[Any, Any]) -> None:
    page = await (await bank.get("/")).text()
    numbers = ("late_seconds", "amount_offset_cents", "stale_seconds", "answer_delay_seconds", "slow_seconds")
    form = dict.fromkeys(numbers, "0")
    form |= {"notice": "twice", "differs": "mode", "service_down": "on"}
    assert all(f'name="{name}"' in page for name in form)
    assert (await bank.post("/pannes", data={**form, "late_seconds": "soon"})).status == 422
    assert (await bank.post("/pannes", data=form)).status == 200
    faults = await (await bank.get("/api/faults")).json()
    assert (faults["notice"], faults["differs"], faults["service_down"], faults["forged"]) == (
        "twice",
        "mode",
        True,
        False,
    )
    await bank.post("/pannes", data={"normal": "1"})
    assert (await (await bank.get("/api/faults")).json())["notice"] == "once"


async def test_an_unreadable_message_and_an_unknown_operation(bank: TestClient[Any, Any]) -> None:
    response = await bank.post("/tpa/services/securite", data=b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>")
    assert "TechProtocolaireErreur" in await response.text()
    assert "TechProtocolaireErreur" in await call(bank, "supprimerTout")


async def test_the_pages_show(bank: TestClient[Any, Any]) -> None:
    assert "Rien n'a encore" in await (await bank.get("/")).text()
    await opened(bank)
    assert ASKED["refdet"] in await (await bank.get("/")).text()
    assert (await bank.get("/tpa/paiementws.web", params={"idop": "nothing"})).status == 404


async def test_it_can_be_as_on_its_first_day(bank: TestClient[Any, Any], tmp_path: Path) -> None:
    await bank.post("/tpa/services/securite", data=request("creerPaiementSecurise", **ASKED))
    await bank.put("/api/faults", json={"service_down": True, "slow_seconds": 2})
    assert await (await bank.get("/api/book")).json()
    assert await (await bank.delete("/api/book")).json() == []
    assert not (await (await bank.get("/api/faults")).json())["service_down"]
    assert Book(tmp_path).operations == {}

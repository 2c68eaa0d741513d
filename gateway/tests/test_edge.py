"""What the gateway says of a failure upstream, of a page of another session, and of what nobody should send."""

import contextlib
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import FormData, web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from chassis.clock import now
from chassis.testing import Probe
from contracts.api.auth import SignedIn, Token
from contracts.events import LIVE_EVENTS
from contracts.failures import TooMany
from contracts.identity import Identity, Role
from gateway.app import build
from gateway.clients.services import SERVICES
from gateway.live import STREAMS_OF_SESSION_MAX, Hub
from gateway.settings import Settings

HOST, PORTAL = "portal.example", "http://portal.example"
TOKEN = re.compile(r'name="form_token" value="(\w+)"')
WRONG, LOCKED = "Identifiant ou code secret incorrect", "Trop d&#39;essais"
AWAY, DEFECT = "La connexion est momentanément indisponible", "Une erreur est survenue"


URLENCODED, PARTS = "application/x-www-form-urlencoded", {"Content-Type": "multipart/form-data; boundary=b"}
PART = b"--b\r\nContent-Disposition: form-data; "
NO_TEXT = ("/%FF%FE", "/planning/%C3%28/2026-12", "/connexion?vers=%FF%FE", "/static/%FF", "/aide?%FF=%FF")


class Behind:
    """The five services in one, with what they answer."""

    def __init__(self) -> None:
        self.sessions: dict[str, Identity] = {}
        self.sign_in: tuple[int, dict[str, Any]] | None = None
        self.refused_tokens: set[str] = set()
        self.asked: list[str] = []
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self.server = TestServer(app)

    def opens(self, session: str, role: Role = Role.PARENT) -> str:
        household = uuid4() if role is Role.PARENT else None
        self.sessions[session] = Identity(
            subject_id=uuid4(), session_id=uuid4(), name="A B", roles=frozenset({role}), household_id=household
        )
        return session

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        known = {"/announcement": self._announcement, "/sessions": self._sign_in, "/sessions/end": self._sign_out}
        if answer := {**known, "/tokens": self._token}.get(request.path):
            return await answer(request)
        if request.headers.get("Authorization", "") in self.refused_tokens:
            return web.json_response({"code": "unauthenticated"}, status=401)
        return web.json_response({"code": "not_found"}, status=404)

    async def _announcement(self, _request: web.Request) -> web.Response:
        return web.json_response({"markdown": ""})

    async def _sign_in(self, _request: web.Request) -> web.Response:
        if self.sign_in:
            return web.json_response(self.sign_in[1], status=self.sign_in[0])
        session = self.opens(uuid4().hex * 2)
        opened = SignedIn(session=session, expires_at=now() + timedelta(hours=1), identity=self.sessions[session])
        return web.Response(text=opened.model_dump_json(), status=201)

    async def _sign_out(self, request: web.Request) -> web.Response:
        self.sessions.pop((await request.json())["session"], None)
        return web.Response(status=204)

    async def _token(self, request: web.Request) -> web.Response:
        identity = self.sessions.get((await request.json())["session"])
        if identity is None:
            return web.json_response({"code": "session_ended"}, status=401)
        made = Token(token=uuid4().hex, expires_at=now() + timedelta(minutes=1), identity=identity)
        return web.Response(text=made.model_dump_json())


@pytest.fixture
async def behind() -> AsyncIterator[Behind]:
    made = Behind()
    await made.server.start_server()
    yield made
    await made.server.close()


Client = TestClient[Any, Any]


@pytest.fixture
async def client(behind: Behind, amqp_url: str, probe: Probe, aiohttp_client: Any) -> Client:
    url = str(behind.server.make_url("")).rstrip("/")
    names = ("auth_url", "planning_url", "billing_url", "payment_gateway_url", "notifier_url")
    settings = Settings(
        **dict.fromkeys(names, url),
        amqp_url=amqp_url,
        http_port=0,
        public_url=PORTAL,
        bank_origins="https://bank.example",
        town_name="Saint-Aubin",
        csrf_secret="c" * 32,
        api_requests_a_minute=20,
    )
    assert probe
    made: Client = await aiohttp_client(build(settings))
    return made


async def ask(client: Client, path: str, session: str = "", *, origin: str | None = PORTAL, **more: Any) -> Any:
    headers = {"Host": HOST, **more.pop("headers", {})}
    if session:
        headers["Cookie"] = f"preau={session}"
    if "data" in more and origin:
        headers["Origin"] = origin
    method = "POST" if "data" in more else "GET"
    return await client.request(method, path, headers=headers, allow_redirects=False, **more)


async def token_of(client: Client, path: str = "/connexion", session: str = "") -> str:
    return str(TOKEN.findall(await (await ask(client, path, session)).text())[0])


async def sign_in(client: Client, token: str, session: str = "", back: str = "/factures", **more: Any) -> Any:
    form = {"form_token": token, "identifier": "camille.d", "secret": "un-bon-secret", "vers": back}
    return await ask(client, "/connexion", session, data=form, **more)


@pytest.mark.parametrize(
    ("answer", "status", "sentence"),
    [
        ((401, {"code": "wrong_codes"}), 401, WRONG),
        ((422, {"code": "invalid"}), 401, WRONG),
        ((429, {"code": "sign_in_locked", "retry_after_seconds": 60}), 429, LOCKED),
        ((503, {"code": "unavailable", "detail": "overloaded", "retry_after_seconds": 1}), 503, AWAY),
        ((503, {"code": "unavailable", "detail": "the database takes no writes"}), 503, AWAY),
        ((500, {"code": "defect"}), 503, DEFECT),
        ((404, {"code": "not_found"}), 404, "Page introuvable"),
    ],
)
async def test_the_sign_in_page_tells_what_happened_and_blames_the_codes_for_nothing_else(
    client: Client, behind: Behind, answer: tuple[int, dict[str, Any]], status: int, sentence: str
) -> None:
    behind.sign_in = answer
    shown = await sign_in(client, await token_of(client))
    text = await shown.text()
    assert (shown.status, sentence in text, WRONG in text) == (status, True, sentence == WRONG)


async def test_auth_that_does_not_answer_is_told_as_such(client: Client, behind: Behind) -> None:
    token = await token_of(client)
    await behind.server.close()
    shown = await sign_in(client, token)
    assert (shown.status, AWAY in await shown.text()) == (503, True)


async def test_a_second_tab_that_signs_in_ends_where_it_wanted_to_be(client: Client, behind: Behind) -> None:
    first, second, third = [await token_of(client) for _ in range(3)]
    session = (await sign_in(client, first)).cookies["preau"].value
    again = await sign_in(client, second, session, back="/compte")
    assert (again.status, again.headers["Location"]) == (303, "/compte")
    assert session not in behind.sessions, "the session that this browser had ends when another begins"
    session = again.cookies["preau"].value
    shown = await ask(client, "/connexion?vers=/factures", session)
    assert (shown.status, shown.headers["Location"]) == (303, "/factures"), "who is signed in is not asked for codes"
    old = await sign_in(client, third, session, origin=None)
    assert (old.status, "ouverte depuis longtemps" in await old.text()) == (409, True)
    fresh = await sign_in(client, TOKEN.findall(await old.text())[0], session, origin=None)
    assert (fresh.status, fresh.headers["Location"]) == (303, "/factures")


async def test_a_form_of_a_session_that_ended_leads_to_the_sign_in_and_one_of_another_session_back_to_its_page(
    client: Client, behind: Behind
) -> None:
    session = behind.opens("s" * 43)
    token = await token_of(client, "/aide", session)
    form = {"form_token": token, "session_id": ""}
    left = await ask(client, "/compte/sessions", data=form)
    assert (left.status, left.headers["Location"].partition("?")[0]) == (303, "/connexion")
    other = behind.opens("o" * 43)
    page = await ask(client, "/compte/sessions", other, data=form, headers={"Referer": f"{PORTAL}/compte"})
    text = await page.text()
    assert (page.status, "Votre session a changé" in text, 'href="/compte"' in text) == (409, True, True)
    assert "DELETE /account/sessions" not in behind.asked
    assert (await ask(client, "/compte/sessions", session, data=form)).status != 409


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{PORTAL}.evil.example", "https://portal.example"])
async def test_a_form_of_another_site_is_refused_even_with_a_token_of_ours(
    client: Client, behind: Behind, origin: str
) -> None:
    session = behind.opens("s" * 43)
    form = {"form_token": await token_of(client, "/aide", session), "langue": "en", "session_id": ""}
    for path in ("/compte/sessions", "/langue", "/deconnexion", "/connexion", "/codes-oublies"):
        refused = await ask(client, path, session, data=form, origin=origin)
        text = await refused.text()
        assert (refused.status, "ne vient pas du portail" in text, "Rechargez" in text) == (403, True, False)
    assert session in behind.sessions


async def test_signing_out_works_from_a_page_of_an_older_session(client: Client, behind: Behind) -> None:
    session = behind.opens("s" * 43)
    left = await ask(client, "/deconnexion", session, data={"form_token": await token_of(client)})
    assert (left.status, left.headers["Location"]) == (303, "/connexion")
    assert session not in behind.sessions


async def test_a_token_whose_key_was_replaced_is_replaced_without_a_word(client: Client, behind: Behind) -> None:
    session = behind.opens("s" * 43)
    await ask(client, "/api/v1/children", headers={"Authorization": f"Bearer {session}"})
    behind.refused_tokens = {f"Bearer {each}" for each in await _kept_tokens(client, session)}
    before = behind.asked.count("POST /tokens")
    answer = await ask(client, "/api/v1/children", headers={"Authorization": f"Bearer {session}"})
    assert answer.status == 404, "what the service answers, not that the token is bad"
    assert behind.asked.count("POST /tokens") == before + 1


async def _kept_tokens(client: Client, session: str) -> list[str]:
    assert client.app is not None
    found = [client.app[SERVICES].kept(session, each) for each in ("planning", "auth", "billing", "notifier")]
    return [each.token for each in found if each]


async def test_what_an_authorization_claims_gives_nobody_more_requests(client: Client, behind: Behind) -> None:
    session = behind.opens("s" * 43)
    good = {"Authorization": f"Bearer {session}"}
    assert (await ask(client, "/api/v1/me", headers=good)).status == 200
    claimed = [
        (await ask(client, "/api/v1/me", headers={"Authorization": f"Bearer {uuid4().hex}"})).status for _ in range(25)
    ]
    assert claimed == [401] * 20 + [429] * 5
    answer = await ask(client, "/api/v1/me", headers=good)
    assert (answer.status, "r=18;" in answer.headers["RateLimit"]) == (200, True), "a good session has its own"


async def test_a_refusal_for_a_role_says_who_may(client: Client, behind: Behind) -> None:
    parent, clerk = behind.opens("p" * 43), behind.opens("c" * 43, Role.CLERK)
    for session, path, who in (
        (parent, "/mairie/tarifs", "à la régie, aux administrateurs"),
        (clerk, "/mairie/tarifs", "à la régie, aux administrateurs"),
        (clerk, "/factures", "aux familles"),
    ):
        page = await ask(client, path, session)
        text = (await page.text()).replace("&#39;", "'")
        assert (page.status, who in text, "Rechargez" in text) == (403, True, False), path


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/connexion", {"data": b"identifier=\xff\xfe"}),
        ("/connexion", {"data": b"identifier=%FF%FE&secret=a"}),
        ("/connexion", {"data": b"%C3=1"}),
        ("/connexion", {"data": b"a=1", "headers": {"Content-Type": f"{URLENCODED}; charset=x"}}),
        ("/connexion", {"data": b"a=1", "headers": {"Content-Type": f"{URLENCODED}; charset=utf-7"}}),
        ("/connexion", {"data": b"no part", "headers": PARTS}),
        ("/connexion", {"data": b"--b\r\n\r\na\r\n--b--\r\n", "headers": PARTS}),
        ("/connexion", {"data": b"a", "headers": {"Content-Type": "multipart/form-data"}}),
        ("/connexion", {"data": PART + b'name="identifier"\r\n\r\n\xff\r\n--b--\r\n', "headers": PARTS}),
        ("/langue", {"data": FormData({"langue": "\ufffd"})}),
    ],
)
async def test_a_form_that_is_no_text_is_refused_and_breaks_nothing(
    client: Client, path: str, sent: dict[str, Any]
) -> None:
    more = {**sent, "headers": {"Content-Type": URLENCODED, **sent.get("headers", {})}}
    if isinstance(sent["data"], FormData):
        more = {"data": sent["data"]}
    answer = await ask(client, path, **more)
    assert answer.status in {400, 422}, await answer.text()


@pytest.mark.parametrize(
    "path", ["/%FF%FE", "/planning/%C3%28/2026-12", "/connexion?vers=%FF%FE", "/static/%FF", "/aide?%FF=%FF"]
)
async def test_percent_signs_that_are_no_text_break_nothing(client: Client, path: str) -> None:
    answer = await client.get(URL(path, encoded=True), headers={"Host": HOST}, allow_redirects=False)
    assert answer.status in {200, 303, 404}


async def test_a_session_has_so_many_streams_and_another_its_own() -> None:
    hub = Hub()
    with contextlib.ExitStack() as open_streams:
        for _ in range(STREAMS_OF_SESSION_MAX):
            open_streams.enter_context(hub.stream_of("a"))
        with pytest.raises(TooMany), hub.stream_of("a"):
            pass
        with hub.stream_of("b"):
            pass
    with hub.stream_of("a"):
        pass


def test_the_gateway_hears_nothing_that_it_does_not_show() -> None:
    assert {each.type for each in LIVE_EVENTS} == {
        *("payment.confirmed", "payment.refused", "payment.expired", "payment.held"),
        *("auth.session.ended", "billing.run.progressed"),
    }

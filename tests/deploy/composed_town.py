"""A town's own portal, composed and run as docs/runbook.md says: `make composed` runs this, for it wants Docker.

Every block of the runbook and of README that is marked ``sh`` is run as it stands, in the order of a town's life; then
versions come and go while somebody uses the portal, and not one request may fail.
"""

import asyncio
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from chassis.testing import eventually
from local_stack.ports import claim_any

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DOMAIN, FIRST, SECOND, BROKEN = "familles.saint-aubin.example", "1.0.0", "1.1.0", "1.2.0"
PERSON, SECRET = "d.exemple", "the-towns-own-secret"
PAGES = ("/mairie/familles", "/mairie/calendrier", "/mairie/factures", "/mairie/courrier", "/mairie/paiements")
LOGS = "docker compose --env-file town.env logs --no-color --no-log-prefix"
SERIOUS = """'"(error|warning)"|"status": 5' | tail -n 60"""
pytestmark = [pytest.mark.timeout(1_800), pytest.mark.asyncio(loop_scope="module")]


class Town:
    """A clone with its town.env, its secrets and a certificate, as a project of its own."""

    def __init__(self, folder: Path) -> None:
        self.clone, self.given, self.https_port = folder / "clone", folder / "secrets", claim_any()
        self.authority = folder / "authority.pem"
        names = subprocess.run(
            ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        for name in names.stdout.splitlines():
            if (ROOT / name).exists():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.clone / name, follow_symlinks=False)
        (self.given / "notifier").mkdir(parents=True)
        (self.given / "notifier/smtp_password").write_text("first\n")
        self.certificate(days=90)
        self.settings(
            SECRETS_FOLDER=str(self.given),
            TLS="/certificates/town.crt /certificates/town.key",
            BACKUP_FOLDER=str(folder / "backups"),
            HTTP_PORT=str(claim_any()),
            HTTPS_PORT=str(self.https_port),
            GATEWAY_PORTS="18080-18083",
        )

    def settings(self, **changed: str) -> None:
        file = self.clone / "town.env"
        if not file.exists():
            shutil.copy(self.clone / "deploy/compose/town.env.example", file)
        lines = [each for each in file.read_text().splitlines() if each.partition("=")[0] not in changed]
        file.write_text("\n".join([*lines, *(f"{name}={value}" for name, value in changed.items())]) + "\n")

    def setting(self, name: str) -> str:
        return dict(each.split("=", 1) for each in (self.clone / "town.env").read_text().splitlines() if "=" in each)[
            name
        ]

    def certificate(self, *, days: int) -> None:
        """One of the town's own, readable by root alone and owned by somebody else, as `certbot` leaves them."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, DOMAIN)])
        made = (
            x509.CertificateBuilder(
                name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days)
            )
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(DOMAIN)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        folder = self.given / "proxy"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "town.crt").write_bytes(made.public_bytes(Encoding.PEM))
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "town.key").write_bytes(private)
        (folder / "town.key").chmod(0o600)
        if os.getuid() == 0:
            os.chown(folder / "town.key", 1234, 1234)
        self.authority.write_bytes(made.public_bytes(Encoding.PEM))

    def sh(self, block: str, said: str = "", *, status: int = 0) -> str:
        """Run a block as somebody would type it."""
        run = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=self.clone,
            env={**os.environ, "COMPOSE_PROJECT_NAME": "preau-town-story"},
            input=said,
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == status, f"{block}\n{run.stdout}\n{run.stderr}\n{self.set_up_logs()}"
        return run.stdout + run.stderr

    def set_up_logs(self) -> str:
        """What the set-ups of the services have logged last."""
        command = ["docker", "compose", "--env-file", "town.env", "logs", "--no-color", "--tail", "8"]
        command += [f"set-up-{name}" for name in ("auth", "planning", "billing", "payment-gateway", "notifier")]
        environment = {**os.environ, "COMPOSE_PROJECT_NAME": "preau-town-story"}
        return subprocess.run(
            command, cwd=self.clone, env=environment, capture_output=True, text=True, check=False
        ).stdout

    def forget_images(self) -> None:
        """An image that is there is never built again, and the code of another day may be in it."""
        found = self.sh("docker images --format '{{.Repository}}:{{.Tag}}'").split()
        ours = [each for each in found if re.fullmatch(rf"preau-[a-z-]+:({FIRST}|{SECOND}|{BROKEN})", each)]
        for each in ours:
            self.sh(f"docker image rm {each} || true")  # one that a system runs on stays

    def containers(self, name: str) -> list[str]:
        return sorted(self.sh(f"docker compose --env-file town.env ps -q {name}").split())

    def restarts(self, name: str) -> str:
        return self.sh(f"docker inspect -f '{{{{.State.StartedAt}}}} {{{{.Id}}}}' {self.containers(name)[0]}")

    @asynccontextmanager
    async def client(self) -> AsyncIterator[aiohttp.ClientSession]:
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=str(self.authority)))
        async with aiohttp.ClientSession(
            f"https://127.0.0.1:{self.https_port}",
            connector=connector,
            headers={"Host": DOMAIN},
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=60),
        ) as http:
            yield http


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    made = Town(tmp_path_factory.mktemp("town"))
    made.forget_images()
    try:
        yield made
    finally:
        made.sh("docker compose --env-file town.env --profile '*' down --volumes --remove-orphans")
        made.forget_images()


def blocks(name: str) -> list[str]:
    return BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))


class Person:
    """Somebody of the town hall who goes on reading pages that ask every service."""

    def __init__(self, town: Town) -> None:
        self.town, self.seen, self.failed = town, 0, list[str]()

    async def live(self, evening: asyncio.Event) -> None:
        async with self.town.client() as http:
            while not evening.is_set():
                await self._visit(http, evening)

    async def _visit(self, http: aiohttp.ClientSession, evening: asyncio.Event) -> None:
        page = await self._ask(http, "GET", "/connexion")
        token = re.findall(r'name="form_token" value="([^"]+)"', page)
        codes = {"identifier": PERSON, "secret": SECRET, "form_token": token[0] if token else ""}
        await self._ask(http, "POST", "/connexion", codes)
        for path in PAGES:
            if not evening.is_set():
                page = await self._ask(http, "GET", path)
                if "</html>" not in page or "Se connecter" in page:
                    self.failed.append(f"{path} is not the page of somebody who is signed in")
        await asyncio.sleep(0.2)

    async def _ask(
        self, http: aiohttp.ClientSession, method: str, path: str, form: dict[str, str] | None = None
    ) -> str:
        self.seen += 1
        try:
            async with http.request(
                method,
                path,
                data=form,
                server_hostname=DOMAIN,
                allow_redirects=False,
                headers={"Origin": f"https://{DOMAIN}"},
            ) as answer:
                text = await answer.text()
                if answer.status >= 400:
                    self.failed.append(f"{answer.status} {method} {path}")
                return text
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(f"{error!r} {method} {path}")
            return ""


async def while_used(town: Town, block: str, *, status: int = 0) -> tuple[str, int]:
    """Run a block while four people use the portal: what it said, and how many requests were answered, all of them."""
    evening, people, began = asyncio.Event(), [Person(town) for _ in range(4)], datetime.now(UTC).strftime("%FT%TZ")
    async with asyncio.TaskGroup() as day:
        for each in people:
            day.create_task(each.live(evening))
        await asyncio.sleep(2)
        said = await asyncio.to_thread(town.sh, block, status=status)
        evening.set()
    failed = [each for person in people for each in person.failed]
    assert not failed, f"{failed}\n{town.sh(f'{LOGS} --since {began} proxy gateway auth | grep -E {SERIOUS}')}"
    return said, sum(person.seen for person in people)


async def test_every_block_of_the_runbook_is_run_as_it_stands(town: Town) -> None:
    in_order = blocks("docs/runbook.md")
    starts = [each for each in in_order if f"upgrade {FIRST}" in each]
    later = [each for each in in_order if f"upgrade {SECOND}" in each or "rollback" in each]
    town.sh(starts[0])
    for block in in_order:
        if block not in (*starts, *later):
            is_before_backup = block == "deploy/operate/doctor\n" and not (town.given.parent / "backups").exists()
            town.sh(block, f"{SECRET}\n", status=1 if is_before_backup else 0)
    assert len(in_order) >= 9
    roles = "--role administrator --role till_keeper"
    town.sh(
        f"export STAFF_SECRET={SECRET}; deploy/operate/run auth create-staff --identifier {PERSON} --name D {roles}"
    )
    assert "well" in town.sh("deploy/operate/doctor")


async def test_a_version_comes_and_goes_while_people_use_the_portal(town: Town) -> None:
    migrations = town.clone / "services/billing/migrations"
    (migrations / "9998_next.sql").write_text("ALTER TABLE invoice ADD COLUMN next_version text NOT NULL DEFAULT '';\n")
    servers = {name: town.restarts(name) for name in ("postgresql", "rabbitmq", "proxy")}
    up, down = (
        next(each for each in blocks("docs/runbook.md") if words in each) for words in (f"upgrade {SECOND}", "rollback")
    )
    _, forward = await while_used(town, up)
    images = town.sh("docker compose --env-file town.env ps --format '{{.Image}}'").split()
    assert sum(each.endswith(f":{SECOND}") for each in images) == 6
    _, back = await while_used(town, down)
    assert town.setting("PREAU_VERSION") == FIRST
    await while_used(town, down)  # forward again
    assert (town.setting("PREAU_VERSION"), town.setting("PREVIOUS_VERSION")) == (SECOND, FIRST)
    assert servers == {name: town.restarts(name) for name in servers}
    assert not re.search(r"preau-\w+:latest", " ".join(images))
    sys.stdout.write(f"\n{forward} + {back} requests during upgrade and rollback, 0 failed\n")


async def test_a_migration_that_fails_stops_the_upgrade_and_nothing_is_away(town: Town) -> None:
    migrations = town.clone / "services/billing/migrations"
    (migrations / "9999_broken.sql").write_text("SELECT 1/0;\n")
    programs = {name: town.containers(name) for name in ("auth", "billing", "gateway")}
    said, _ = await while_used(town, f"deploy/operate/upgrade {BROKEN}", status=1)
    assert f"the set-up of billing failed; no program was replaced, {SECOND} goes on serving" in said
    assert programs == {name: town.containers(name) for name in programs}
    assert town.setting("PREAU_VERSION") == SECOND
    (migrations / "9999_broken.sql").unlink()


async def every_replica_is_read(port: int) -> None:
    """Prometheus finds the replicas by their programs' names, and knows the rules."""

    async def found() -> bool:
        asked = {"query": 'count by (program) (up{job="preau",program!=""} == 1)'}
        try:
            async with http.get("/api/v1/query", params=asked) as got:
                counted = {each["metric"]["program"]: each["value"][1] for each in (await got.json())["data"]["result"]}
            async with http.get("/api/v1/rules") as got:
                groups = (await got.json())["data"]["groups"]
        except (aiohttp.ClientError, KeyError):
            return False  # it is still starting
        ones = dict.fromkeys(("auth", "billing", "payment-gateway", "notifier"), "1")
        return bool(groups) and counted == {**ones, "planning": "2", "gateway": "2"}

    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
        await eventually(found, seconds=120)


async def test_a_changed_secret_a_new_certificate_and_more_replicas_take_effect_by_one_command(town: Town) -> None:
    planning, auth, notifier = (town.containers(name) for name in ("planning", "auth", "notifier"))
    (town.given / "notifier/smtp_password").write_text("second\n")
    town.certificate(days=20)
    town.settings(PLANNING_REPLICAS="2", GATEWAY_REPLICAS="2", PROMETHEUS_PORT=str(prometheus := claim_any()))
    town.settings(COMPOSE_PROFILES="postgresql,rabbitmq,proxy,observe")
    town.sh("deploy/operate/apply")
    assert town.containers("auth") == auth
    assert town.containers("notifier") != notifier
    assert (len(town.containers("planning")), len(town.containers("gateway"))) == (2, 2)
    assert set(planning) <= set(town.containers("planning")) or len(planning) == 1
    await every_replica_is_read(prometheus)
    said = town.sh("deploy/operate/doctor", status=1)
    assert said.count("planning: well") == 2
    assert said.count("!!") == 1
    assert "less than 21 days away" in said
    town.certificate(days=90)
    await while_used(town, "deploy/operate/apply")
    assert "certificate: well" in town.sh("deploy/operate/doctor")
    town.certificate(days=-1)
    refused = town.sh("deploy/operate/apply", status=1)
    assert "ended on" in refused
    town.certificate(days=90)


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def test_a_backup_that_fails_leaves_nothing_and_the_next_is_made(town: Town) -> None:
    folder = town.given.parent / "backups"
    before = names(folder)
    stop, start = (f"docker compose --env-file town.env {word} postgresql" for word in ("stop", "start"))
    town.sh(stop)
    town.sh("deploy/operate/backup", status=1)
    assert names(folder) == before
    town.sh(start)
    old = folder / "2020-01-01T000000Z"
    town.sh(f"mkdir {old} && touch -d 2020-01-01 {old}")

    async def is_healthy() -> bool:
        return "healthy" in await asyncio.to_thread(town.sh, "docker compose --env-file town.env ps postgresql")

    await eventually(is_healthy, seconds=60)
    assert Path(town.sh("deploy/operate/backup 2>/dev/null").strip()).parent == folder
    assert old.name not in names(folder)


async def test_no_town_starts_over_the_demo_towns_accounts(town: Town) -> None:
    demo = "docker compose --env-file town.env run --rm -T --no-deps -e DEMO_ACCOUNTS=true"
    people = "create-staff --identifier mairie --name Demo --role administrator"
    town.sh(f"{demo} -e STAFF_SECRET=demo-2026-demo auth {people}")
    said = town.sh("docker compose --env-file town.env run --rm -T --no-deps set-up-auth", status=1)
    assert "this database has the demo town" in said

"""docker-compose.yml and the Dockerfile, read: who waits for whom, and what an image may hold."""

import asyncio
import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chassis import connections
from deploy.compose import make_secrets
from gateway.pages.town_hall import families
from local_stack.ports import claim_any
from payment_gateway.settings import LyraAccount, PayboxAccount, StripeAccount
from tools import chart_settings, compose_settings

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")
SET_UPS = tuple(f"set-up-{service}" for service in SERVICES)


class OfCompose(yaml.SafeLoader):
    """YAML with compose's own tags."""


OfCompose.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return read


@pytest.mark.parametrize("name", [*SERVICES, "gateway"])
def test_every_program_waits_for_every_set_up(compose: dict[str, Any], name: str) -> None:
    program = compose["services"][name]
    assert program["depends_on"] == {
        f"set-up-{service}": {"condition": "service_completed_successfully"} for service in SERVICES
    }
    assert "healthcheck" not in program  # the image's own
    assert program["read_only"] is True
    assert program["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_set_up_has_its_secrets_and_runs_once(compose: dict[str, Any], name: str) -> None:
    once = compose["services"][f"set-up-{name}"]
    assert once["command"] == ["migrate"]
    assert once["restart"] == "no"
    assert f"secrets-set-up-{name}:/run/set-up:ro" in once["volumes"]
    holders = [of for of, each in compose["services"].items() if f"secrets-set-up-{name}:" in str(each.get("volumes"))]
    assert holders == ["secrets", f"set-up-{name}"]
    assert once["depends_on"] == {"secrets": {"condition": "service_completed_successfully"}}
    assert once["image"] == compose["services"][name]["image"]


FOLDERS = (*SERVICES, "gateway", "bank", "postgresql", "rabbitmq", "proxy", "prometheus", "drawn", *SET_UPS)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """The secrets that are made, as program and name; who owns their files is left out, for that takes root."""
    for program in FOLDERS:
        (tmp_path / program).mkdir()
    monkeypatch.setattr(make_secrets, "ROOT", tmp_path)
    monkeypatch.setattr(make_secrets, "GIVEN", ROOT / "deploy/compose/none")
    monkeypatch.setattr(make_secrets.os, "chown", lambda *_owner: None)
    monkeypatch.setenv("POSTGRESQL", "db.example:5432")
    monkeypatch.setenv("RABBITMQ", "broker.example:5672")
    monkeypatch.setenv("BANK_PAGES", "http://localhost:8090")
    make_secrets.main([])
    return {(each.parent.name, each.name) for each in tmp_path.glob("*/*")}


@pytest.mark.parametrize("name", [*SERVICES, "gateway"])
def test_a_program_is_given_every_setting_that_has_no_default(
    compose: dict[str, Any], made: set[tuple[str, str]], name: str
) -> None:
    fields = importlib.import_module(f"{name.replace('-', '_')}.settings").Settings.model_fields
    given = {setting.lower() for setting in compose["services"][name]["environment"]}
    given |= {secret for program, secret in made if program == name} | {"http_port"}  # the image says the port
    assert {setting for setting, field in fields.items() if field.is_required()} <= given


def test_a_server_of_the_towns_own_is_told_of_the_accounts_with_which_the_programs_come(
    tmp_path: Path, made: set[tuple[str, str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(make_secrets, "ROOT", tmp_path)
    make_secrets.main(["show", "postgresql/databases.sql"])
    told = capsys.readouterr().out
    make_secrets.main(["show", "rabbitmq/definitions.json"])
    accounts = {each["name"] for each in json.loads(capsys.readouterr().out)["users"]}
    for service in SERVICES:
        url = urlsplit((tmp_path / service / "database_url").read_text(encoding="utf-8"))
        owner = urlsplit((tmp_path / f"set-up-{service}/migration_database_url").read_text(encoding="utf-8"))
        assert url.netloc.endswith("@db.example:5432")
        assert (owner.path, f"{owner.username}_app") == (url.path, url.username)
        for role in (owner, url):
            assert f"ALTER ROLE {role.username} LOGIN PASSWORD '{role.password}';" in told
        assert f"CREATE DATABASE {url.path[1:]} OWNER {owner.username}'" in told
    for program in (*SERVICES, "gateway", *SET_UPS):
        url = urlsplit((tmp_path / program / "amqp_url").read_text(encoding="utf-8"))
        assert url.netloc.endswith("@broker.example:5672")
        assert url.username in accounts


def test_the_dockerfile_has_no_known_bad_habit() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    said = subprocess.run([hadolint, ROOT / "deploy/Dockerfile"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (0, "")


def test_every_volume_and_dependency_is_declared_and_no_secret_is_written_down(compose: dict[str, Any]) -> None:
    for program in compose["services"].values():
        for volume in program.get("volumes", []):
            source = volume.split(":")[0]
            assert source in compose["volumes"] or (ROOT / source).exists()
        assert set(program.get("depends_on", [])) <= compose["services"].keys()
        environment = program.get("environment", {})
        assert not {"DATABASE_URL", "AMQP_URL", "POSTGRES_PASSWORD", "CSRF_SECRET", "AUTH_KEY_SECRET"} & set(
            environment
        )


def test_one_service_builds_an_image_and_whoever_else_runs_it_waits_for_that_one(compose: dict[str, Any]) -> None:
    programs = compose["services"]
    ours = {each["image"] for each in programs.values() if "preau-" in each["image"]}
    builders = {each["image"]: name for name, each in programs.items() if "build" in each}
    assert builders.keys() == ours
    assert len(builders) == sum("build" in each for each in programs.values())
    for name, program in programs.items():
        builder = builders.get(program["image"], name)
        assert name == builder or builder in needed(programs, name), f"{name} can start without {builder}"


def needed(programs: dict[str, Any], name: str) -> set[str]:
    """All that ``docker compose up name`` starts besides."""
    direct = set(programs[name].get("depends_on", []))
    return direct.union(*(needed(programs, each) for each in direct))


def test_no_program_lives_in_the_network_of_another_which_a_restart_would_take_away(compose: dict[str, Any]) -> None:
    assert not [name for name, each in compose["services"].items() if "service:" in each.get("network_mode", "")]


@pytest.mark.parametrize("name", [*SERVICES, "gateway", "bank-simulator", "local-stack"])
def test_each_image_has_its_lock_with_hashes_and_no_address(name: str) -> None:
    lock = (ROOT / f"deploy/requirements/{name}.txt").read_text(encoding="utf-8")
    assert lock.count("==") <= lock.count("--hash=sha256:")
    assert "://" not in lock
    assert "pytest" not in lock


def test_each_account_made_for_the_demo_has_settings_that_are_taken_and_a_bank_that_knows_it(
    compose: dict[str, Any], tmp_path: Path, made: set[tuple[str, str]]
) -> None:
    def kept(program: str, name: str) -> Any:
        assert (program, name) in made
        (one,) = json.loads((tmp_path / program / name).read_text(encoding="utf-8"))
        return one

    accounts = {"lyra_accounts": LyraAccount, "paybox_accounts": PayboxAccount, "stripe_accounts": StripeAccount}
    tills = [kind.model_validate(kept("payment-gateway", name)).tills for name, kind in accounts.items()]
    assert len(frozenset().union(*tills)) == len(accounts)
    known = [kept("bank", name) for name in ("lyra_shops", "paybox_contracts", "stripe_accounts")]
    for there, name in zip(known, accounts, strict=True):
        here = kept("payment-gateway", name)
        assert {field: there[field] for field in there.keys() & here.keys()} == {
            field: here[field] for field in there.keys() & here.keys()
        }
    assert "secrets-bank:/run/secrets:ro" in compose["services"]["bank"]["volumes"]


def variables(name: str) -> dict[str, str]:
    """A file of ``NAME=value`` lines."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def profiles(services: dict[str, Any]) -> set[str]:
    return {profile for each in services.values() for profile in each.get("profiles", ())}


def test_whoever_says_nothing_gets_the_whole_system_and_a_town_what_it_has_not_itself(compose: dict[str, Any]) -> None:
    everything, towns = variables(".env"), variables("deploy/compose/town.env.example")
    above = yaml.load((ROOT / "deploy/compose/production.yml").read_text(encoding="utf-8"), OfCompose)["services"]  # noqa: S506 - a SafeLoader
    assert everything.keys() == {"COMPOSE_PROFILES"}
    assert set(everything["COMPOSE_PROFILES"].split(",")) == profiles(compose["services"]) - {"observe"}
    assert set(towns["COMPOSE_PROFILES"].split(",")) == profiles({**compose["services"], **above}) - {"demo", "observe"}
    of_demo = {name for name, each in compose["services"].items() if each.get("profiles") == ["demo"]}
    assert of_demo == {"bank", "mail", "staff", "demo"}


def test_a_town_shares_neither_project_nor_accounts_with_the_demo_of_the_same_folder(compose: dict[str, Any]) -> None:
    production = yaml.load((ROOT / "deploy/compose/production.yml").read_text(encoding="utf-8"), OfCompose)  # noqa: S506 - a SafeLoader
    assert (compose["name"], production["name"]) == ("preau-demo", "preau")
    for name in ("auth", "set-up-auth"):
        assert compose["services"][name]["environment"]["DEMO_ACCOUNTS"] == "true"
        assert production["services"][name]["environment"]["DEMO_ACCOUNTS"] == "false"


def test_what_is_always_there_needs_nothing_of_a_profile(compose: dict[str, Any]) -> None:
    programs = compose["services"]
    in_profiles = {name for name, each in programs.items() if "profiles" in each}
    for name in programs.keys() - in_profiles:
        assert not needed(programs, name) & in_profiles, f"{name} could not start without a profile"


@pytest.fixture
def laid_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Call to start a town's own portal: its secrets are laid out in ``tmp_path``, from the given ones."""
    monkeypatch.setattr(make_secrets, "ROOT", tmp_path / "secrets")
    monkeypatch.setattr(make_secrets, "GIVEN", tmp_path / "given")
    monkeypatch.setattr(make_secrets.os, "chown", lambda *_owner: None)
    for folder in FOLDERS:
        (tmp_path / "secrets" / folder).mkdir(parents=True)

    def start(given: dict[str, str] | None = None, **environment: str) -> Path:
        shutil.rmtree(tmp_path / "given", ignore_errors=True)
        for name, text in (given or {}).items():
            (tmp_path / "given" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "given" / name).write_text(text, encoding="utf-8")
        for name in ("POSTGRESQL", "RABBITMQ", "BANK_PAGES", "TLS"):
            monkeypatch.setenv(name, environment.get(name, ""))
        monkeypatch.setenv("DOMAIN", "familles.example")
        make_secrets.main([])
        return tmp_path / "secrets"

    return start


def test_a_towns_secret_goes_to_its_program_and_is_gone_with_its_file(laid_out: Callable[..., Path]) -> None:
    of_town = {"notifier/smtp_password": "first\n", "auth/auth_key_secret": "k" * 40}
    there = laid_out(of_town)
    assert (there / "notifier/smtp_password").read_text() == "first"
    assert (there / "auth/auth_key_secret").read_text() == "k" * 40
    laid_out(of_town | {"notifier/smtp_password": "second\n"})
    assert (there / "notifier/smtp_password").read_text() == "second"
    drawn = (laid_out() / "auth/auth_key_secret").read_text()
    assert not (there / "notifier/smtp_password").exists()
    assert len(drawn) == 64
    assert (laid_out() / "auth/auth_key_secret").read_text() == drawn
    with pytest.raises(SystemExit, match="no program is called notify"):
        laid_out({"notify/smtp_password": "lost\n"})


def test_only_a_file_that_changes_gets_a_new_time(laid_out: Callable[..., Path]) -> None:
    there = laid_out({"notifier/smtp_password": "first"})
    files = sorted(each for each in there.rglob("*") if each.is_file())
    for each in files:
        os.utime(each, (0, 0))
    laid_out({"notifier/smtp_password": "second"}, POSTGRESQL="db.example")
    changed = {str(each.relative_to(there)) for each in files if each.stat().st_mtime}
    assert changed == {"notifier/smtp_password"} | {f"{name}/database_url" for name in SERVICES} | {
        f"set-up-{name}/migration_database_url" for name in SERVICES
    }


def test_a_server_on_another_machine_is_reached_by_verified_tls_and_one_of_the_composition_by_its_network(
    laid_out: Callable[..., Path],
) -> None:
    there = laid_out()
    assert re.search(r"@postgresql:5432/preau_billing$", (there / "billing/database_url").read_text())
    assert re.search(r"^amqp://billing:\w+@rabbitmq:5672/preau$", (there / "billing/amqp_url").read_text())
    password = urlsplit((there / "billing/database_url").read_text()).password
    elsewhere = {"POSTGRESQL": "db.example", "RABBITMQ": "broker.example"}
    laid_out({"servers/ca.pem": "an authority"}, **elsewhere)
    url = (there / "billing/database_url").read_text()
    assert url.endswith("@db.example:5432/preau_billing?sslmode=verify-full&sslrootcert=/run/secrets/ca.pem")
    assert urlsplit(url).password == password
    broker = (there / "billing/amqp_url").read_text()
    assert re.search(r"^amqps://billing:\w+@broker.example:5671/preau\?cafile=/run/secrets/ca.pem$", broker)
    assert (there / "set-up-billing/ca.pem").read_text() == "an authority"
    laid_out(**elsewhere)
    assert "sslrootcert=/etc/ssl/certs/ca-certificates.crt" in (there / "billing/database_url").read_text()


def test_a_real_town_has_nothing_of_the_stand_in_banks_even_where_the_demo_had_run(
    laid_out: Callable[..., Path],
) -> None:
    there = laid_out(BANK_PAGES="http://localhost:8090")
    assert (there / "payment-gateway/lyra_accounts").exists()
    laid_out()
    assert {each.name for each in (there / "payment-gateway").iterdir()} == {"amqp_url", "database_url"}
    assert list((there / "bank").iterdir()) == []


def certificate(*, name: str = "familles.example", days: int = 90) -> dict[str, str]:
    """A town's own, as the files that it gives."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    began, ends = now - timedelta(days=100), now + timedelta(days=days)
    built = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), began, ends)
    signed = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    made = signed.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    return {"proxy/town.crt": made, "proxy/town.key": private}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"proxy/town.crt": "none at all"}, "TLS names town.key, which SECRETS_FOLDER/proxy does not have"),
        (certificate() | {"proxy/town.key": "none at all"}, "no key without a password"),
        (certificate() | {"proxy/town.key": certificate()["proxy/town.key"]}, "is not that of the certificate"),
        (certificate(name="autre.example"), "is for autre.example, not for familles.example"),
        (certificate(days=-1), "ended on"),
    ],
)
def test_a_certificate_that_would_keep_the_proxy_from_serving_is_refused_in_a_sentence(
    laid_out: Callable[..., Path], given: dict[str, str], said: str
) -> None:
    there = laid_out(certificate(), TLS="/certificates/town.crt /certificates/town.key")
    before = (there / "proxy/town.crt").read_text()
    with pytest.raises(SystemExit, match=said):
        laid_out(given, TLS="/certificates/town.crt /certificates/town.key")
    assert (there / "proxy/town.crt").read_text() == before


def interpolated(value: Any, town: dict[str, str]) -> Any:
    """A value of a compose file, with the variables that it names."""

    def found(match: re.Match[str]) -> str:
        name, how, word = match.groups()
        given = town.get(name, "")
        return given or (word if how in {"-", ":-"} else "")

    return re.sub(r"\$\{(\w+)(:?[-?])([^}]*)\}", found, value) if isinstance(value, str) else value


def environment_in(files: list[str], program: str, town: dict[str, str]) -> dict[str, str]:
    """What compose gives a program, each file on top of the one before."""
    merged: dict[str, str] = {}
    for name in files:
        services = yaml.load((ROOT / name).read_text(encoding="utf-8"), OfCompose)["services"]  # noqa: S506 - a SafeLoader
        merged |= services.get(program, {}).get("environment") or {}
    return {name: interpolated(value, town) for name, value in merged.items()}


OF_THE_COMPOSITION = {"AUTH_URL", "METRICS_PORT", "DEMO_ACCOUNTS", "DRAIN_SECONDS", "PUBLIC_URL", "NOTICES_URL"}
OF_THE_COMPOSITION |= {f"{name.upper().replace('-', '_')}_URL" for name in SERVICES}


@pytest.mark.parametrize("program", [*SERVICES, "gateway", *SET_UPS])
def test_a_town_has_the_settings_that_it_gave_and_none_of_the_demo_towns(program: str) -> None:
    town = {name: f"of the town: {name}" for name in variables("deploy/compose/town.env.example")}
    files = variables("deploy/compose/town.env.example")["COMPOSE_FILE"].split(":")
    given = environment_in(files, program, town)
    demo = environment_in(["docker-compose.yml"], program, {})
    left = {name for name, value in given.items() if value and value == demo.get(name)}
    assert left <= OF_THE_COMPOSITION, left
    for name, value in given.items():
        assert value in {"", f"of the town: {name}"} or name in OF_THE_COMPOSITION | {"PROXIES_IN_FRONT"}, name
    if program in SET_UPS:
        assert given == environment_in(files, program.removeprefix("set-up-"), town)


@pytest.mark.parametrize("program", [*SERVICES, "gateway"])
def test_every_setting_can_be_given_in_town_env(program: str) -> None:
    assert (ROOT / "deploy/compose/settings.yml").read_text() == compose_settings.written(), "run `make configuration`"
    fields = importlib.import_module(f"{program.replace('-', '_')}.settings").Settings.model_fields
    files = variables("deploy/compose/town.env.example")["COMPOSE_FILE"].split(":")
    reachable = environment_in(files, program, {name.upper(): "given" for name in fields})
    is_secret = chart_settings.is_secret
    for name, field in fields.items():
        if not is_secret(field) and name not in {"http_host", "http_port", "mail_examples"}:
            assert name.upper() in reachable, name
            assert reachable[name.upper()] == "given" or name.upper() in OF_THE_COMPOSITION, name


def test_no_image_is_latest_and_every_container_has_a_limit_and_a_log_that_ends(compose: dict[str, Any]) -> None:
    above = yaml.load((ROOT / "deploy/compose/production.yml").read_text(encoding="utf-8"), OfCompose)["services"]  # noqa: S506 - a SafeLoader
    for name, each in {**compose["services"], "proxy": above["proxy"]}.items():
        image = interpolated(each["image"], {})
        assert re.search(r":[\w.-]+$", image), image
        assert not image.endswith(":latest")
        if each.get("restart", "") == "unless-stopped":
            assert interpolated(each["mem_limit"], {}), name
            assert each["logging"]["options"].keys() == {"max-size", "max-file"}, name


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (503, False), (None, False)])
async def test_the_images_health_check_tells_a_program_that_is_ready(status: int | None, is_well: bool) -> None:
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    (words,) = re.findall(r"^    CMD (\[.*\])$", text, re.MULTILINE)
    command, *arguments = json.loads(words)
    assert command == "python"

    async def ready(_request: web.Request) -> web.Response:
        return web.Response(status=status or 0)

    app = web.Application()
    app.router.add_get("/health/ready", ready)
    async with TestServer(app) as server:
        port = server.port if status else claim_any()
        process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env={"HTTP_PORT": str(port)})
        assert (await process.wait() == 0) is is_well


def test_the_proxy_holds_clients_to_times_and_takes_the_families_file() -> None:
    text = (ROOT / "deploy/compose/Caddyfile").read_text(encoding="utf-8")
    given = dict(re.findall(r"^\s*(read_header|read_body|idle|max_header_size|max_size|keepalive) (\S+)$", text, re.M))
    assert given.keys() == {"read_header", "read_body", "idle", "max_header_size", "max_size", "keepalive"}
    assert given["read_header"] == f"{connections.HEAD_SECONDS_MAX}s"
    assert int(given["max_size"].removesuffix("MB")) * 1_000_000 > families.FILE_BYTES_MAX
    keepalive = int(given["keepalive"].removesuffix("s"))
    assert keepalive < connections.IDLE_SECONDS_MAX
    production = (ROOT / "deploy/compose/production.yml").read_text(encoding="utf-8")
    (drain,) = re.findall(r"DRAIN_SECONDS:-(\d+)", production)
    assert keepalive < int(drain)

"""docker-compose.yml and the Dockerfile, read: who waits for whom, and what an image may hold."""

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from chassis import connections
from gateway.pages import families
from local_stack.ports import claim_any
from payment_gateway.settings import LyraAccount, PayboxAccount, StripeAccount

ROOT = Path(__file__).parents[2]
SERVICES = ("auth", "planning", "billing", "payment-gateway", "notifier")
SET_UPS = tuple(f"set-up-{service}" for service in SERVICES)


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


def the_script() -> Any:
    """deploy/compose/make_secrets.py, as a module."""
    spec = importlib.util.spec_from_file_location("make_secrets", ROOT / "deploy/compose/make_secrets.py")
    assert spec
    assert spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """The secrets that are made, as program and name; who owns their files is left out, for that takes root."""
    script = the_script()
    for program in (*SERVICES, "gateway", "bank", "postgresql", "rabbitmq", "set-up", *SET_UPS):
        (tmp_path / program).mkdir()
    monkeypatch.setattr(script, "ROOT", tmp_path)
    monkeypatch.setattr(script, "GIVEN", ROOT / "deploy/compose/none")
    monkeypatch.setattr(script.os, "chown", lambda *_owner: None)
    monkeypatch.setenv("POSTGRESQL", "db.example:5432")
    monkeypatch.setenv("RABBITMQ", "broker.example:5672")
    monkeypatch.setenv("BANK_PAGES", "http://localhost:8090")
    script.main([])
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
    script = the_script()
    monkeypatch.setattr(script, "ROOT", tmp_path)
    script.main(["show", "postgresql/databases.sql"])
    told = capsys.readouterr().out
    script.main(["show", "rabbitmq/definitions.json"])
    accounts = {each["name"] for each in json.loads(capsys.readouterr().out)["users"]}
    for service in SERVICES:
        url = urlsplit((tmp_path / service / "database_url").read_text(encoding="utf-8"))
        owner = urlsplit((tmp_path / f"set-up-{service}/migration_database_url").read_text(encoding="utf-8"))
        assert url.netloc.endswith("@db.example:5432")
        assert (owner.path, f"{owner.username}_app") == (url.path, url.username)
        for role in (owner, url):
            assert f"ALTER ROLE {role.username} LOGIN PASSWORD '{role.password}';" in told
        assert f"CREATE DATABASE {url.path[1:]} OWNER {owner.username}'" in told
    for program in (*SERVICES, "gateway", "set-up", *SET_UPS):
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
    ours = {each["image"] for each in programs.values() if each["image"].startswith("preau-")}
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
    above = yaml.safe_load((ROOT / "deploy/compose/production.yml").read_text(encoding="utf-8"))["services"]
    assert everything.keys() == {"COMPOSE_PROFILES"}
    assert set(everything["COMPOSE_PROFILES"].split(",")) == profiles(compose["services"])
    assert set(towns["COMPOSE_PROFILES"].split(",")) == profiles({**compose["services"], **above}) - {"demo"}
    of_demo = {name for name, each in compose["services"].items() if each.get("profiles") == ["demo"]}
    assert of_demo == {"bank", "mail", "staff", "demo"}


def test_a_town_shares_neither_project_nor_accounts_with_the_demo_of_the_same_folder(compose: dict[str, Any]) -> None:
    production = yaml.safe_load((ROOT / "deploy/compose/production.yml").read_text(encoding="utf-8"))
    assert (compose["name"], production["name"]) == ("preau-demo", "preau")
    for name in ("auth", "set-up-auth"):
        assert compose["services"][name]["environment"]["DEMO_ACCOUNTS"] == "true"
        assert production["services"][name]["environment"]["DEMO_ACCOUNTS"] == "false"


def test_what_is_always_there_needs_nothing_of_a_profile(compose: dict[str, Any]) -> None:
    programs = compose["services"]
    in_profiles = {name for name, each in programs.items() if "profiles" in each}
    for name in programs.keys() - in_profiles:
        assert not needed(programs, name) & in_profiles, f"{name} could not start without a profile"


def test_a_towns_own_portal_names_no_setting_that_is_none_and_its_example_all() -> None:
    text = (ROOT / "deploy/compose/production.yml").read_text(encoding="utf-8")
    services = yaml.safe_load(text)["services"]
    given = variables("deploy/compose/town.env.example").keys() - {"COMPOSE_PROFILES", "POSTGRESQL", "RABBITMQ"}
    assert set(re.findall(r"\$\{(\w+)", text.partition("x-town")[2])) == given
    for name in (*SERVICES, "gateway"):
        fields = importlib.import_module(f"{name.replace('-', '_')}.settings").Settings.model_fields
        own = {each.lower() for each in services[name]["environment"] if each not in {"PUBLIC_URL", "TOWN_NAME"}}
        assert own <= set(fields)


def test_a_towns_secret_goes_to_its_program_and_to_no_name_that_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = the_script()
    monkeypatch.setattr(script, "ROOT", tmp_path / "secrets")
    monkeypatch.setattr(script, "GIVEN", tmp_path / "given")
    monkeypatch.setattr(script.os, "chown", lambda *_owner: None)
    for folder in ("secrets/notifier", "given/notifier", "given/notify", "given/proxy"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "given/proxy/town.key").write_text("read by the proxy itself\n")
    (tmp_path / "given/notifier/smtp_password").write_text("first\n")
    script.take_given()
    (tmp_path / "given/notifier/smtp_password").write_text("second\n")
    script.take_given()
    assert (tmp_path / "secrets/notifier/smtp_password").read_text() == "second"
    (tmp_path / "given/notify/smtp_password").write_text("lost\n")
    with pytest.raises(SystemExit, match="no program is called notify"):
        script.take_given()


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
    assert int(given["keepalive"].removesuffix("m")) * 60 < connections.IDLE_SECONDS_MAX

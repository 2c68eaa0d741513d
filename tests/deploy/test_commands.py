"""A command that is given a wrong argument says so in a sentence and ends with 2; never in a traceback."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OF_ALL = {"doctor": ["everything"], "serve": ["now"], "no-such-command": []}
OF_SERVICES = {"migrate": ["--fast"], "dead-letters": ["show", "no-such-queue"], "republish": ["--since", "yesterday"]}
OWN = {
    "auth": [
        ["create-staff", "--identifier", "dgs", "--name", "D", "--role", "administrator"],
        ["create-staff", "--identifier", "directrice", "--name", " ", "--role", "administrator"],
        ["create-staff", "--identifier", "directrice", "--name", "D", "--role", "mayor"],
        ["create-staff", "--identifier", "directrice", "--name", "D", "--email", "nowhere", "--role", "clerk"],
        ["close-staff", "directrice"],
        ["republish", "all"],
        ["rotate-keys", "--later"],
        ["import", "/no/such/file.csv"],
        ["import", "/"],
        ["export", "/no/such/folder/families.csv", "and more"],
        ["republish", "--since", "0001-01-01"],
    ],
    "planning": [["replay", "all"]],
    "billing": [
        ["publish-month", "2026-13", "--due", "2027-01-31"],
        ["publish-month", "2026-12", "--due", "2027-02-30"],
        ["verify", "all"],
        ["rebuild", "/no/such/file.ndjson"],
        ["republish", "all"],
    ],
    "payment-gateway": [],
    "notifier": [],
    "gateway": [["migrate"], ["certificate"], ["certificate", "proxy"], ["certificate", "proxy:0"]],
}
ALL_OF_THEM = """
import contextlib, io, json, sys
from {package}.__main__ import SERVICE
from chassis.command import main
told = []
for words in json.load(sys.stdin):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(SERVICE, words)
        except SystemExit as left:
            told.append([words, left.code, said.getvalue()])
json.dump(told, sys.stdout)
"""
USAGE_LINES_MAX = 30
SECRETS = ("auth_key_secret", "link_secret", "csrf_secret")


def environment(program: str) -> dict[str, str]:
    """The settings of docker-compose.yml, and servers that nobody is to ask."""
    composed = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    given = {name: str(value) for name, value in composed["services"][program]["environment"].items()}
    given = {name: value for name, value in given.items() if "${" not in value or name == "PUBLIC_URL"}
    given |= {name.upper(): "s" * 32 for name in SECRETS} | {"STAFF_SECRET": "of-the-town-hall"}
    given |= {"AMQP_URL": "amqp://127.0.0.1:1/none", "DATABASE_URL": "postgresql://127.0.0.1:1/none"}
    given |= {"PUBLIC_URL": "http://localhost:8080", "BANK_ORIGINS": "http://localhost:8090", "HTTP_PORT": "1"}
    given |= {"PAYFIP_PAYER_URL": "http://localhost:8090/", "TILL_REFERENCE": "REGIE-ENFANCE"}
    return {**os.environ, **given}


@pytest.mark.parametrize("program", OWN)
def test_a_wrong_argument_is_named_in_a_sentence(program: str) -> None:
    known = OF_ALL if program == "gateway" else OF_ALL | OF_SERVICES
    asked = [[name, *words] for name, words in known.items()] + OWN[program]
    script = ALL_OF_THEM.format(package=program.replace("-", "_"))
    run = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(asked),
        env=environment(program),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert [words for words, *_ in told] == asked
    for words, status, said in told:
        assert status == 2, (words, said)
        assert said.strip(), words
        assert "Traceback" not in said, words
        assert len(said.splitlines()) <= USAGE_LINES_MAX, words


def test_every_command_of_a_service_is_among_those_that_are_tried() -> None:
    """A new command comes with its wrong argument here."""
    for program, wrong in OWN.items():
        service = importlib.import_module(f"{program.replace('-', '_')}.__main__").SERVICE
        assert set(service.commands) <= {words[0] for words in wrong}, program

"""The bill of materials of each image names all that the lock puts into it, and is CycloneDX."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools import sbom

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(
    each.stem for each in (ROOT / "deploy/requirements").glob("*.txt") if each.stem not in {"development", "running"}
)
STATUS = """Package: libc6
Status: install ok installed
Architecture: amd64
Version: 2.36-9+deb12u13

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: perl-base
Status: install ok installed
Architecture: amd64
Version: 1:5.36.0-7
"""


def lock_of(program: str) -> str:
    return (ROOT / f"deploy/requirements/{program}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_bill_names_the_whole_lock_and_keeps_to_the_schema(program: str) -> None:
    made: dict[str, Any] = sbom.bill(program, "1.2.3", lock_of(program), STATUS)
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(made)) is None
    named = {each["name"].lower().replace("_", "-").replace(".", "-"): each for each in made["components"]}
    elsewhere = re.compile(r"^([\w.-]+)==\S+ ; (?:sys_platform == 'win32'|python_full_version < '3.13')", re.MULTILINE)
    pinned = dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock_of(program), re.MULTILINE))
    missing = {name.replace("_", "-").replace(".", "-") for name in pinned} - named.keys()
    assert missing <= set(elsewhere.findall(lock_of(program)))
    assert {name: each["version"] for name, each in named.items() if name in pinned}.items() <= pinned.items()
    libraries = [each for each in made["components"] if each["purl"].startswith("pkg:pypi")]
    assert [each["name"] for each in libraries if "licenses" not in each] == []
    assert {"libc6", "perl-base", "python"} <= named.keys()
    assert "gone" not in named
    assert named["perl-base"]["purl"] == "pkg:deb/debian/perl-base@1%3A5.36.0-7?arch=amd64"


def test_a_bill_says_what_needs_what_and_is_the_same_file_each_time() -> None:
    made = sbom.bill("auth", "1.2.3", lock_of("auth"))
    needs = {each["ref"].split("@")[0]: " ".join(each["dependsOn"]) for each in made["dependencies"]}
    assert "pkg:pypi/argon2-cffi-bindings@" in needs["pkg:pypi/argon2-cffi"]
    assert "pkg:pypi/aiormq@" in needs["pkg:pypi/aio-pika"]
    assert made == sbom.bill("auth", "1.2.3", lock_of("auth"))


def test_another_version_than_the_locks_is_told() -> None:
    with pytest.raises(LookupError, match="aiohttp"):
        sbom.bill("auth", "1.2.3", "aiohttp==0.0.1 \\\n")


def test_the_image_writes_its_bill_and_says_what_it_is() -> None:
    dockerfile = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    assert "tools/sbom.py" in dockerfile
    assert "!tools/sbom.py" in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    labels = set(re.findall(r"org\.opencontainers\.image\.([a-z.]+)=", dockerfile))
    assert labels >= {"title", "description", "licenses", "vendor", "version", "revision", "base.name"}

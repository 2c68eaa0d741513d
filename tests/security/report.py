"""What is looked at for safety, in one table: ``python -m tests.security.report [WORD…]`` (``make security``).

Each check is a set of tests of this repository, which `make test` runs in their short form, or a program. Here they get
many more examples: ``FUZZ`` of each parser, ``EXAMPLES`` of each door's requests, ``FORMS`` of each form, and the whole
history for the secrets. Fails when something is found. Words choose the checks whose names have one of them.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
LONG = {"FUZZ": "20000", "EXAMPLES": "60", "PHASES": "coverage,fuzzing", "FORMS": "40", "HISTORY": "1"}
SAID_MAX = 20_000
BANKS = "services/payment-gateway/tests"


@dataclass(frozen=True)
class Check:
    """A name, and the tests that are the check (as pytest wants them) or the program that is."""

    name: str
    tests: tuple[str, ...] = ()
    program: tuple[str, ...] = ()


CHECKS = (
    Check("who may open which door", ("tests/security/test_access.py",)),
    Check("who may say what at the broker", ("tests/security/test_broker_accounts.py",)),
    Check("any request, every service", ("tests/security/test_any_request.py",)),
    Check("any request, public API; pages; forms", ("tests/security/test_portal.py",)),
    Check(
        "guesses at once; slow senders",
        (
            "services/auth/tests/test_attempts.py",
            "chassis/tests/test_connections.py",
            "tests/security/test_floods.py",
        ),
    ),
    Check("headers and cookies", ("tests/security/test_headers.py",)),
    Check("what is read from outside", ("tests/security/test_parser_fuzz.py",)),
    Check(
        "what banks say",
        tuple(
            f"{BANKS}/{name}.py"
            for name in (
                *("test_notices", "test_paybox_notices", "test_stripe_notices", "test_signed_but_odd"),
                *("test_whatever_bytes", "test_whatever_is_answered"),
            )
        ),
    ),
    Check("dependencies on record", ("tests/security/test_dependencies.py", "tests/deploy/test_sbom.py")),
    Check("known holes of dependencies", program=("python", "tools/dependencies.py")),
    Check("code that is dangerous by its form", program=("ruff", "check", ".")),
    Check("secrets, in files and history", ("tests/security/test_secrets.py",)),
    Check("the threat model names its tests", ("tests/security/test_threats.py",)),
)


@dataclass
class Found:
    """What a check looked at, what it found, and all that it said."""

    looked_at: str
    found: int
    said: str


def by_tests(tests: tuple[str, ...]) -> Found:
    """Run them; what they looked at is in their properties, else they are counted."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        words = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--show-capture=no",
            f"--timeout={4 * 3_600}",
            "-p",
            "no:cacheprovider",
            "-o",
            "junit_family=xunit1",
            f"--junitxml={report.name}",
            *tests,
        ]
        done = subprocess.run(words, cwd=ROOT, env={**LONG, **os.environ}, capture_output=True, text=True, check=False)
        suite = next(ElementTree.parse(report.name).getroot().iter("testsuite"))  # noqa: S314 - pytest's own
    told = [each.get("value", "") for each in suite.iter("property") if each.get("name") == "looked at"]
    wrong = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    return Found("; ".join(told) or f"{suite.get('tests')} tests", max(wrong, done.returncode), done.stdout)


def by_program(words: tuple[str, ...]) -> Found:
    """Run it; it ends with how much it found, and its first line says at what it looked."""
    command = [str(Path(sys.executable).with_name(words[0])), *words[1:]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return Found((done.stdout.splitlines() or ["-"])[0], done.returncode, done.stdout + done.stderr)


def main() -> int:
    """Print the table as it comes, and all that was said of what was found; how many checks found something."""
    wrong: list[tuple[str, Found]] = []
    for check in (each for each in CHECKS if not sys.argv[1:] or any(word in each.name for word in sys.argv[1:])):
        began = time.monotonic()
        found = by_tests(check.tests) if check.tests else by_program(check.program)
        what = f"{check.name:<40} {found.found or 'nothing':>8} found"
        row = f"{what} {time.monotonic() - began:6.0f} s   {found.looked_at}"
        print(row, flush=True)  # noqa: T201 - the table is the product
        wrong += [(check.name, found)] if found.found else []
    for name, found in wrong:
        print(f"\n=== {name}\n{found.said[-SAID_MAX:]}")  # noqa: T201
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())

"""Programs that no wheel ships: found on the machine, else installed from Debian's packages when that is allowed."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

APT_SECONDS = 600
DOVECOT = Path("/usr/sbin/dovecot")
POLICY = Path("/usr/sbin/policy-rc.d")
RABBITMQ_PLACES = (Path("/usr/lib/rabbitmq/bin/rabbitmq-server"), Path("/usr/local/lib/rabbitmq/bin/rabbitmq-server"))


class MissingProgramError(Exception):
    """A program is missing and may not be installed from here; says the ways out."""


def rabbitmq_server() -> Path:
    """The broker's own start script (not the wrapper of the system service), installed if need be."""
    if found := _rabbitmq_found():
        return found
    _install("rabbitmq-server", "RabbitMQ")
    if found := _rabbitmq_found():
        return found
    raise MissingProgramError("rabbitmq-server was installed but its start script is not where Debian puts it")


def chromium() -> Path:
    """A Chromium to drive, installed if need be."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return Path(found)
    _install("chromium", "Chromium")
    return Path(shutil.which("chromium") or "/usr/bin/chromium")


def pdf_tools() -> Path:
    """Poppler's pdftoppm, installed if need be."""
    if not shutil.which("pdftoppm"):
        _install("poppler-utils", "Poppler (pdftoppm)")
    return Path(shutil.which("pdftoppm") or "/usr/bin/pdftoppm")


def dovecot() -> Path:
    """An IMAP server for the tests, installed if need be."""
    if not DOVECOT.exists():
        _install("dovecot-imapd", "Dovecot")
    return DOVECOT


def promtool() -> Path:
    """Prometheus's own checker of rules, installed if need be."""
    if not shutil.which("promtool"):
        _install("prometheus", "Prometheus (promtool)")
    return Path(shutil.which("promtool") or "/usr/bin/promtool")


def _rabbitmq_found() -> Path | None:
    for place in RABBITMQ_PLACES:
        if place.exists():
            return place
    on_path = shutil.which("rabbitmq-server")
    if on_path is None:
        return None
    real = Path(on_path).resolve()
    return real if real.name == "rabbitmq-server" else None


def _install(package: str, title: str) -> None:
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    allowed = shutil.which("apt-get") and _succeeds([*prefix, "true"])
    if not allowed:
        raise MissingProgramError(
            f"{title} is missing. Two ways out: install it (Debian and Ubuntu: sudo apt-get install {package}), "
            "or run the whole portal in containers with `docker compose up`."
        )
    sys.stdout.write(f"préau: installing {package} with apt\n")
    sys.stdout.flush()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with _alone(), _no_service_started(prefix):
        for command in (["update", "-q"], ["install", "-y", "-q", "--no-install-recommends", package]):
            done = subprocess.run(
                [
                    *prefix,
                    "env",
                    "DEBIAN_FRONTEND=noninteractive",
                    "apt-get",
                    "-o",
                    "DPkg::Lock::Timeout=300",
                    *command,
                ],
                env=environment,
                capture_output=True,
                text=True,
                timeout=APT_SECONDS,
                check=False,
            )
            if done.returncode:
                raise MissingProgramError(f"apt-get {' '.join(command)} failed:\n{done.stderr[-2000:]}")


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One installation at a time: two of them would find apt's lists locked."""
    with (Path(tempfile.gettempdir()) / f"preau-apt-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _no_service_started(prefix: list[str]) -> Iterator[None]:
    """Keep a package from starting its system service while it is installed; what was there is put back."""
    if POLICY.exists():
        yield
        return
    script = "#!/bin/sh\nexit 101\n"
    subprocess.run([*prefix, "tee", str(POLICY)], input=script, text=True, capture_output=True, check=True)
    subprocess.run([*prefix, "chmod", "755", str(POLICY)], check=True)
    try:
        yield
    finally:
        subprocess.run([*prefix, "rm", "-f", str(POLICY)], check=True)

"""PostgreSQL and RabbitMQ refuse root: as root, their programs run as a user with no rights, in folders it owns."""

import os
import pwd
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunAs:
    """Who a private server runs as; None for both is the one who calls."""

    uid: int | None = None
    gid: int | None = None

    def arguments(self) -> dict[str, Any]:
        """What ``create_subprocess_exec`` wants for it."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def run_as(*names: str) -> RunAs:
    """The first of the users that exists, when we are root; else ourselves."""
    if os.geteuid() != 0:
        return RunAs()
    for name in (*names, "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(entry.pw_uid, entry.pw_gid)
    raise LookupError("this machine has no unprivileged user, not even nobody")


def private_folder(path: Path, who: RunAs) -> Path:
    """Make a 0700 folder that ``who`` owns."""
    path.mkdir(parents=True, exist_ok=True)
    if who.uid is not None and who.gid is not None:
        os.chown(path, who.uid, who.gid)
    path.chmod(0o700)
    return path


def is_reachable(path: Path, who: RunAs) -> bool:
    """Tell whether ``who`` may walk to ``path``: every folder above it lets others through."""
    return who.uid is None or all(parent.stat().st_mode & 0o001 for parent in path.resolve().parents)


def reachable_folder(wanted: Path, who: RunAs) -> Path:
    """``wanted`` itself, or a folder kept for it in /var/tmp when ``who`` cannot walk there (a clone in /root)."""
    if is_reachable(wanted / "x", who):
        return wanted
    elsewhere = Path("/var/tmp") / f"preau-{sha256(str(wanted.resolve()).encode()).hexdigest()[:16]}"  # noqa: S108
    elsewhere.mkdir(mode=0o711, exist_ok=True)
    if elsewhere.is_symlink() or elsewhere.stat().st_uid != os.geteuid():
        raise PermissionError(f"{elsewhere} is not ours")
    return elsewhere


def reachable_copy(source: Path, destination: Path, who: RunAs) -> Path:
    """``source`` itself, or a copy of it at ``destination`` when ``who`` cannot walk to it."""
    if is_reachable(source, who):
        return source
    if not destination.exists():
        shutil.copytree(source, destination, symlinks=True)
    return destination

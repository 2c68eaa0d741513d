"""PostgreSQL and RabbitMQ refuse root: as root, their programs run as a user with no rights, in folders it owns."""

import os
import pwd
import shutil
from collections.abc import Sequence
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

    def own(self, path: Path) -> None:
        """Give a file or a folder to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


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


def passable_folder(path: Path) -> Path:
    """Make a folder that others may walk through, whatever the umask, and not look into."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o711)
    return path


def private_folder(path: Path, who: RunAs) -> Path:
    """Make a 0700 folder that ``who`` owns."""
    path.mkdir(parents=True, exist_ok=True)
    who.own(path)
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
    elsewhere.mkdir(exist_ok=True)
    if elsewhere.is_symlink() or elsewhere.stat().st_uid != os.geteuid():
        raise PermissionError(f"{elsewhere} is not ours")
    return passable_folder(elsewhere)


def readable_copy(sources: Sequence[Path], destination: Path) -> Path:
    """A folder with copies of ``sources`` that everybody may read; one that is there is complete and stays."""
    if destination.exists():
        return destination
    unfinished = destination.with_name(f"{destination.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for source in sources:
        shutil.copytree(source, unfinished / source.name, symlinks=True)
    for path in (unfinished, *unfinished.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
    return unfinished.rename(destination)

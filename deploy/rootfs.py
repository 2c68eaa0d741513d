"""Gather what a Python program needs of the Debian that it was built on, and nothing else: ``rootfs.py FOLDER``.

``rootfs.py FOLDER PACKAGES`` says whether all that the compiled modules below PACKAGES load is in it, and ends with 1
when something is not.

This Python with its standard library, the shared libraries that both load, a shell, time zones and certificates. What
is left behind is what nobody needs at run time: package managers, compilers, Perl, and whatever else a stranger who got
in would look for. ``var/lib/dpkg/status`` keeps the packages that files came from, for scanners of vulnerabilities.
"""

import compileall
import os
import py_compile
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path

LEFT_OUT = {"__pycache__", "dist-packages", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages"}
LEFT_OUT |= {"test", "tkinter", "turtledemo", "venv"}
TK = re.compile(r"_tkinter\.")
FOR_WHEELS = ("libgcc_s.so.1", "libstdc++.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libutil.so.1")
FOR_WHEELS += ("libpthread.so.0", "libresolv.so.2")
"""What a manylinux wheel may expect of the system."""
ALONE = ("/bin/sh", "/etc/group", "/etc/ld.so.cache", "/etc/nsswitch.conf", "/etc/os-release", "/etc/passwd")
FOLDERS = ("/etc/ssl/certs", "/usr/lib/ssl", "/usr/share/ca-certificates", "/usr/share/zoneinfo")
STATUS = Path("/var/lib/dpkg/status")


def gather(root: Path) -> None:
    """Copy it all below ``root``, each file at its own place."""
    (root / "usr").mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):  # as Debian has them: links into /usr
        if Path("/", name).is_symlink():
            (root / "usr" / name).mkdir()
            (root / name).symlink_to(Path("/", name).readlink())
    for name in ("tmp", "var/tmp"):
        (root / name).mkdir(parents=True)
        (root / name).chmod(0o1777)
    kept = list(dict.fromkeys([*programs(), *standard_library(), *(Path(each) for each in ALONE)]))
    kept += [each for folder in FOLDERS for each in files(Path(folder))]
    kept += libraries(kept)
    for each in kept:
        copy(each, root)
    library = root / sysconfig.get_path("stdlib").removeprefix(
        "/"
    )  # compiled, since a read-only image cannot do it later
    compiled = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(library, quiet=1, stripdir=str(root), prependdir="/", invalidation_mode=compiled)
    (root / STATUS.relative_to("/")).parent.mkdir(parents=True, exist_ok=True)
    (root / STATUS.relative_to("/")).write_text(paragraphs(owners(kept)), encoding="utf-8")


def programs() -> Iterator[Path]:
    """Python by each of its names."""
    here = Path(sys.base_prefix, "bin")
    names = {here / "python", here / "python3", Path("/usr/local/bin/python"), Path("/usr/local/bin/python3")}
    yield from (each for each in sorted(names) if each.exists())


def standard_library() -> Iterator[Path]:
    """Its files; a link to elsewhere too."""
    for folder, inside, names in os.walk(sysconfig.get_path("stdlib")):
        inside[:] = [each for each in inside if each not in LEFT_OUT and not each.startswith("config-")]
        yield from (Path(folder, each) for each in names if not TK.match(each))


def files(folder: Path) -> list[Path]:
    """All of a folder that is there."""
    return [each for each in folder.rglob("*") if each.is_symlink() or each.is_file()]


def libraries(kept: Iterable[Path]) -> list[Path]:
    """The shared libraries that programs and extension modules load."""
    found = loaded(each for each in kept if ".so" in each.name or "bin" in each.parts)
    cached = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    found |= {Path(each) for name in FOR_WHEELS for each in re.findall(rf"{re.escape(name)} .*=> (\S+)", cached)}
    return sorted(found)


def loaded(loading: Iterable[Path]) -> set[Path]:
    """What the loader finds for them."""
    names = [str(each.resolve()) for each in loading]
    said = subprocess.run(["ldd", *names], capture_output=True, text=True, check=False).stdout
    return {Path(each) for each in re.findall(r"(/\S+\.so\S*) \(0x", said)}


def missing(root: Path, packages: Path) -> set[Path]:
    """What compiled modules load and the system has not, unless they bring it."""
    wanted = {each.resolve() for each in loaded(each for each in files(packages) if ".so" in each.name)}
    return {each for each in wanted if packages not in each.parents and not (root / each.relative_to("/")).exists()}


def copy(one: Path, root: Path) -> None:
    """A file at its own place, and where a link leads to as well."""
    there = root / one.parent.resolve().relative_to("/") / one.name
    if there.exists() or there.is_symlink():
        return
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(one, there, follow_symlinks=False)
    if one.is_symlink():
        target = one.parent.resolve() / one.readlink()
        if target.is_file() or target.is_symlink():
            copy(target, root)


def owners(kept: Iterable[Path]) -> set[str]:
    """The Debian packages that files came from."""
    names = [str(each.resolve()) for each in kept]
    names += [each.removeprefix("/usr") for each in names if each.startswith("/usr/")]  # as dpkg may know them
    said = subprocess.run(["dpkg-query", "--search", *names], capture_output=True, text=True, check=False).stdout
    return {each.partition(":")[0] for each in said.splitlines() if not each.startswith("diversion")}


def paragraphs(names: set[str]) -> str:
    """Those of the named packages, of what dpkg keeps."""
    every = STATUS.read_text(encoding="utf-8").split("\n\n")
    return "\n\n".join(each for each in every if each.partition("\n")[0].removeprefix("Package: ") in names) + "\n"


if __name__ == "__main__":
    folders = [Path(each) for each in sys.argv[1:]]
    if folders[1:]:
        sys.exit("\n".join(f"not in the image: {each}" for each in missing(*folders)) or None)
    gather(*folders)

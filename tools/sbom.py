"""Write an image's bill of materials, CycloneDX 1.6 in JSON: ``sbom.py PROGRAM VERSION LOCK [DPKG_STATUS] > FILE``.

What is in it is what the lock names and this Python has installed, this Python itself, and Debian's packages. It needs
nothing but the standard library, for it runs in the image that it describes. Same contents, same file.
"""

import json
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)
NAME = re.compile(r"^[A-Za-z0-9._-]+")
LICENCE = "License :: OSI Approved :: "
NAMED_MAX = 60
"""What is longer than a licence's name is its text."""
Component = dict[str, Any]


def bill(program: str, version: str, lock: str, dpkg_status: str = "") -> dict[str, Any]:
    """The document; ``LookupError`` when something is installed in another version than the lock's."""
    found = list(installed(lock))
    names = {_plain(each.name): _purl(each) for each in found}
    itself: Component = {
        "type": "application",
        "bom-ref": f"preau-{program}",
        "name": f"preau-{program}",
        "version": version,
        "licenses": [{"license": {"id": "EUPL-1.2"}}],
    }
    components = [_python(), *(_library(each) for each in found), *debian(dpkg_status)]
    wanted = {_purl(each): sorted(names[name] for name in _wants(each) if name in names) for each in found}
    wanted[itself["bom-ref"]] = sorted(each["bom-ref"] for each in components)
    made: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": itself},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": others} for ref, others in sorted(wanted.items())],
    }
    return {**made, "serialNumber": f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(made, sort_keys=True))}"}


def installed(lock: str) -> Iterator[Distribution]:
    """What the lock names, but for what is for another platform."""
    for name, version in PINNED.findall(lock):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        if found.version != version:
            raise LookupError(f"{name} is installed in {found.version}, the lock says {version}")
        yield found


def debian(status: str) -> Iterator[Component]:
    """The packages of a Debian system, from what dpkg keeps of them."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            purl = f"pkg:deb/debian/{name}@{quote(version, safe='~')}?arch={fields['Architecture']}"
            yield {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _python() -> Component:
    purl = f"pkg:generic/python@{platform.python_version()}"
    return {
        "type": "platform",
        "bom-ref": purl,
        "name": "python",
        "version": platform.python_version(),
        "purl": purl,
        "licenses": [{"license": {"id": "PSF-2.0"}}],
    }


def _library(found: Distribution) -> Component:
    licences = _licences(found)
    return {
        "type": "library",
        "bom-ref": _purl(found),
        "name": found.name,
        "version": found.version,
        "purl": _purl(found),
        **({"licenses": licences} if licences else {}),
    }


def _licences(found: Distribution) -> list[dict[str, Any]]:
    """By their expression, else by the names under which the package is filed."""
    metadata = found.metadata
    if "License-Expression" in metadata:
        return [{"expression": metadata["License-Expression"]}]
    filed = metadata.get_all("Classifier") or []
    names = [each.removeprefix(LICENCE) for each in filed if each.startswith(LICENCE)]
    if (
        not names
        and "License" in metadata
        and len(metadata["License"]) <= NAMED_MAX
        and "\n" not in metadata["License"]
    ):
        names = [metadata["License"]]
    return [{"license": {"name": name}} for name in names]


def _wants(found: Distribution) -> set[str]:
    """The names of what it needs, without its extras."""
    needs = (each for each in found.requires or () if "extra ==" not in each)
    return {_plain(match[0]) for each in needs if (match := NAME.match(each))}


def _purl(found: Distribution) -> str:
    return f"pkg:pypi/{_plain(found.name)}@{found.version}"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    program_name, its_version, lock_file, *status_file = sys.argv[1:]
    texts = [Path(each).read_text(encoding="utf-8") for each in (lock_file, *status_file)]
    sys.stdout.write(json.dumps(bill(program_name, its_version, *texts), indent=1) + "\n")

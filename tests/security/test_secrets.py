"""No secret is written down: detect-secrets over every file, and with ``HISTORY=1`` over all that ever was in one.

What looks like a secret and is none stands below with its reason. A value, not a place, is let through: the same file
with another value is found.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

ROOT = Path(__file__).parents[2]
DIGESTS = ("gateway/gateway/guide/pictures.json", "deploy/requirements/")
"""Files and folders of nothing but names and digests: of pages that pictures show, of packages that are locked."""
OF_TESTS = "a value of tests alone, for servers and accounts that the test makes"
OF_THE_DEMO = "printed on purpose: the demo town is for trying"
EXAMPLE = "an example of a contract, made for it and never used"
ALPHABET = "letters: an alphabet, or the rows of a keyboard that are refused as a secret"
PUBLISHED = "of a manual or a standard: what anybody may read there"
WORDS = "words, a file's name or a path, and no value"
DIGEST = "a digest that a test compares with"
NOT_SECRET = {
    "Zm9yLXRoZS1leGFtcGxlLW9ubHktbm90LXVzZWQ": EXAMPLE,
    "gAAAAABrBh1cM2uoJt6O2qBYBlPIxbNF1s4gSPSjg10u4o85PqHQ15k_hJPEu1cHTnmwURSrgFA7eJJl4GhYaoN4eXEhaOBFZ2uRXoE3Cv36pR-jybNFyMrfgEsf8TdICKIkmxsZtvCV": EXAMPLE,  # noqa: E501 - one value
    "abcdefghjkmnpqrstuvwxyz23456789": ALPHABET,
    "abcdefghjkmnpqrstuvwxyz23456789-": ALPHABET,
    "azertyuiopqsdfghjklmwxcvbn": ALPHABET,
    "qwertyuiopasdfghjklzxcvbnm": ALPHABET,
    "demo-2026-demo": OF_THE_DEMO,
    "retours@saint-aubin.example": OF_THE_DEMO,
    "sk_test_…": OF_THE_DEMO,
    "4bf92f3577b34da6a3ce929d0e0e4736": PUBLISHED,
}
NOT_SECRET |= dict.fromkeys(
    (
        "Code secret",
        "Secret code",
        "Votre code secret est changé. Toutes vos autres sessions sont fermées.",
        "choose_secret",
        "deploy/compose/make_secrets.py`, and `deploy/helm/preau/programs.yaml`"
        ", which also says whom each program may reach. The tests in `tests/deploy",
        "PASSWORD",
        "shared/first_secret.html",
        "preau-backup",
        "preau-rabbitmq",
        "preau-servers-ca",
        "preau-tls",
        "secret",
        "sign_in",
        "the present secret is no longer the present one",
        "written down",
        "AAAA-BBBB-CCCC",
    ),
    WORDS,
)
NOT_SECRET |= dict.fromkeys(
    (
        "05109799ac30c83566327214c82545899bbae8af2811cc23d271564b0c7faa79",
        "1ccf395732b61b695f32a5086a7f70edff2d19abf880897df382d6884b0e1480",
        "2c58a3eb05d7e862899eb03cd1e519aab00e0d905d90b942e1f32bf9183bf489",
        "34636e8b3a5ef8c3da1efe080f940706f98961c804f0de015f7c004cbb305601",
        "7be529d6abcbfc687f67a7e34e154d21c0ffd092d5266ef364cdb19e6e24c731",
        "dd21d11780cb448e6bcaccc6c01f694928edfe98bef599b24a53407a70f13303",
        "f6248428c4901f02cc72088d781eb5f1f1c0f353bfb9c6fee76a2c30d7678693",
    ),
    DIGEST,
)
NOT_SECRET |= dict.fromkeys(
    (
        "qPkVU/Oo9kaiEpjKoMxxgSzvXOs4Ym7iMM8XJkKAvEI=",
        "605026CDCC40170B6E7E8C9ED78BEC3D3D70953731FBB24855A480A02869DE84",
        "7656fc2882a7ca0a651666b36bf2f2f22ee204f54f608f227498a2419f2890b2",
        "91ECE835FD5442F7538D6F6DB380063D1DF4B2FADE568B1CE8F51DAA1402FF2F",
        "a secret of the tests, long enough to be accepted",
        "admin-secret",
        "as-before",
        "bench",
        "d.exemple",
        "first\\n",
        "lost\\n",
        "of-the-owner",
        "of-the-program",
        "second",
        "second\\n",
        "wrong",
        "camille.d!",
        "clerk-secret",
        "quatre pommes vertes",
        "of-the-town-hall",
        "sk_test_1",
        "sk_test_for_tests",
        "sk_test_x",
        "the secret of the hook, long enough",
        "the secret of the links, long enough",
        "the-towns-own-secret",
        "0123456789ABCDEF0123",
        "0123456789abcdef012",
        "0123456789abcdef0123",
        "trois mots nouveaux",
        "trois tortues bleues",
        "un-bon-secret",
        "un-bon-secret-de-mesure",
        "whsec_for_tests_only",
        "whsec_of_another",
        "whsec_of_the_test",
        "wrong-secret",
    ),
    OF_TESTS,
)


def _git(*words: str, asked: str = "") -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, input=asked, capture_output=True, text=True, check=True)
    return done.stdout


def files() -> Iterator[tuple[str, bytes]]:
    """Every file that is, or would be, of the repository."""
    for name in _git("ls-files", "-co", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            yield name, (ROOT / name).read_bytes()


def history() -> Iterator[tuple[str, bytes]]:
    """Every content that a file had in any commit, once, under one of its names."""
    lines = (line.partition(" ") for line in _git("rev-list", "--objects", "--all").splitlines())
    names = {digest: name for digest, _, name in lines if name}
    kinds = _git("cat-file", "--batch-check=%(objectname) %(objecttype)", asked="\n".join(names)).splitlines()
    for digest in (line.split()[0] for line in kinds if line.endswith(" blob")):
        yield names[digest], subprocess.run(["git", "cat-file", "blob", digest], cwd=ROOT, capture_output=True).stdout  # noqa: PLW1510


def found_in(texts: Iterator[tuple[str, bytes]], folder: Path, looked_at: list[str]) -> Iterator[str]:
    """What looks like a secret in them and is not known to be none."""
    with default_settings():
        for name, content in texts:
            if b"\0" in content[:8_000] or name.startswith(DIGESTS):
                continue
            looked_at.append(name)
            copy = folder / Path(name).name
            copy.write_bytes(content)
            for each in scan_file(str(copy)):
                if each.secret_value not in NOT_SECRET:
                    yield f"{name}:{each.line_number}: {each.type}: {str(each.secret_value)[:20]}…"
            copy.unlink()


@pytest.mark.timeout(3_600)
def test_no_secret_is_written_down(tmp_path: Path, record_property: Any) -> None:
    looked_at: list[str] = []
    whole = bool(os.environ.get("HISTORY"))
    found = list(found_in(history() if whole else files(), tmp_path, looked_at))
    record_property("looked at", f"{len(looked_at)} {'contents of the whole history' if whole else 'files'}")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        f"AKIA{'ABCDEFGH' * 2}",
        f"-----BEGIN {'RSA'} PRIVATE KEY-----",
        f"password = '{'c0rrect-h0rse' + '-battery'}'",
        f"https://somebody:{'pass' + 'w0rd'}@registry.example/",
        f"sk_live_{'4eC39HqLyjWDarjtT1zdp7dc'}",
    ],
)
def test_a_secret_would_be_found(tmp_path: Path, line: str) -> None:
    assert list(found_in(iter([("settings.py", line.encode())]), tmp_path, []))

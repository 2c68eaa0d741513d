"""The words of every mail: complete in each language, the same as they were, and harmless whatever somebody typed."""

import re
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from contracts.events.billing import UnmatchedReason
from contracts.model import Language
from notifier.channels import languages, letters
from notifier.channels.examples import event_of, mail_of
from notifier.domain.mails import OPTIONAL, Kind
from notifier.settings import Settings

EXAMPLES = Path(__file__).parents[3] / "contracts" / "examples"
SNAPSHOTS = Path(__file__).parent / "snapshots"
TEMPLATES = Path(letters.__file__).parent.parent / "templates"
SETTINGS = Settings(
    database_url="postgresql://nowhere",
    amqp_url="amqp://nowhere",
    auth_url="http://nowhere",
    http_port=0,
    town_name="Saint-Aubin",
    public_url="https://portail.example",
    mail_from="portail@saint-aubin.example",
    smtp_host="nowhere",
    smtp_port=25,
    smtp_tls="none",
    link_secret=SecretStr("a secret of the examples, long enough"),
)
EVERY_MAIL = [(kind, language) for kind in Kind for language in Language]
FREE_TEXTS = {
    "markdown",
    "child_first_name",
    "activity_label",
    "town",
    "till",
    "household_name",
    "bank_reference",
    "reason",
    "reference",
}
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "Léa\r\nBcc: somebody@example.org\r\n\r\nEvil",
    "x" * 190,
    "👩‍👧 é \u202egnp.exe {{ 7 * 7 }} {first_name} %s",
)


def example(kind: Kind) -> dict[str, Any]:
    return event_of(kind, EXAMPLES, SETTINGS)


def written(kind: Kind, language: Language, event: dict[str, Any], first_name: str = "Camille") -> EmailMessage:
    return letters.write(mail_of(kind, language, event, first_name), SETTINGS)


def parts(message: EmailMessage) -> tuple[str, str]:
    """The plain text and the HTML."""
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    return plain.get_content(), html.get_content()


@pytest.mark.parametrize(("kind", "language"), EVERY_MAIL)
def test_every_mail_is_as_it_was(kind: Kind, language: Language) -> None:
    """A change of words or look is wanted: delete the snapshot, run again, and read what it writes."""
    message = written(kind, language, example(kind))
    plain, html = parts(message)
    for ending, content in (("txt", f"{message['Subject']}\n\n{plain}"), ("html", html)):
        snapshot = SNAPSHOTS / f"{kind}-{language}.{ending}"
        lines = "\n".join(line.rstrip() for line in content.splitlines()) + "\n"
        if not snapshot.exists():
            snapshot.parent.mkdir(exist_ok=True)
            snapshot.write_text(lines, encoding="utf-8")
            pytest.fail(f"{snapshot.name} is new: read it, then run again")
        assert lines == snapshot.read_text(encoding="utf-8")


def test_no_sentence_is_missing_in_any_language() -> None:
    said = "".join(path.read_text(encoding="utf-8") for path in TEMPLATES.iterdir() if path.is_file())
    sentences = set(re.findall(r'_\(\s*"((?:[^"\\]|\\.)*)"', said))
    assert sentences
    for language in set(Language) - {Language.FR}:
        known = languages.catalogue(language).words
        assert known.keys() == sentences
        for french, (other,) in known.items():
            assert other
            assert set(re.findall(r"{\w+}", french)) == set(re.findall(r"{\w+}", other))


class Tags(HTMLParser):
    """The tags of a page, and their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.attributes: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.attributes += [name for name, _ in attrs]


def _is_typed(name: str, value: Any) -> bool:
    """Whether somebody typed it; a reason is also the name of one."""
    return name in FREE_TEXTS and value not in set(UnmatchedReason)


def spoilt(value: Any, text: str) -> Any:
    """An event with every free text replaced."""
    match value:
        case dict():
            return {name: text if _is_typed(name, each) else spoilt(each, text) for name, each in value.items()}
        case list():
            return [spoilt(each, text) for each in value]
    return value


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", list(Kind))
def test_what_somebody_typed_changes_no_header_and_no_page(kind: Kind, text: str) -> None:
    usual = Tags(parts(written(kind, Language.FR, example(kind)))[1])
    message = written(kind, Language.FR, spoilt(example(kind), text), first_name=text)
    plain, html = parts(message)
    found = Tags(html)
    if kind is Kind.ANNOUNCEMENT:
        assert not {"script", "img"} & set(found.names)
    else:
        assert (found.names, found.attributes) == (usual.names, usual.attributes)
    assert "Bcc" not in message
    assert message["To"] == "camille@example.org"
    assert not set(message["Subject"]) & set("\r\n\u202e")
    assert letters.one_line(text) in plain.replace("\r\n", " ") or kind is Kind.ANNOUNCEMENT
    assert message.keys() == written(kind, Language.FR, example(kind)).keys()
    assert bytes(message)


def test_a_name_without_end_is_cut() -> None:
    message = written(Kind.RECAP, Language.FR, example(Kind.RECAP), first_name="x" * 10_000)
    assert len(bytes(message)) < 20_000


@pytest.mark.parametrize("kind", list(Kind))
def test_only_optional_mails_can_be_left(kind: Kind) -> None:
    message = written(kind, Language.FR, example(kind))
    assert ("List-Unsubscribe" in message) is (kind in OPTIONAL)
    assert ("Ne plus le recevoir" in parts(message)[0]) is (kind in OPTIONAL)


def test_the_message_id_is_the_mails_own() -> None:
    one, other = (written(Kind.TICKET, Language.FR, example(Kind.TICKET)) for _ in range(2))
    assert one["Message-ID"] == other["Message-ID"] == f"<{UUID(int=1)}@saint-aubin.example>"


def test_a_closed_day_that_was_only_waited_for_is_not_said_to_be_booked() -> None:
    message = written(Kind.CLOSED, Language.FR, {**example(Kind.CLOSED), "days": []})
    plain, _ = parts(message)
    assert message["Subject"] == "Jour fermé : Léa n'attend plus de place pour le mercredi 23 décembre 2026"
    assert "plus de liste d'attente" in plain
    assert "annulé" not in plain


def test_a_list_left_because_an_enrolment_ended_is_not_said_to_have_been_booked() -> None:
    message = written(Kind.ENDED, Language.FR, {**example(Kind.ENDED), "days": []})
    plain, _ = parts(message)
    assert message["Subject"] == "Mercredi au centre : Léa n'attend plus de place"
    assert "plus de liste d'attente" in plain
    assert "compté" not in plain


def test_a_lapsed_offer_of_a_day_that_can_no_longer_be_booked_promises_nothing() -> None:
    event = example(Kind.LAPSED)
    plain, _ = parts(written(Kind.LAPSED, Language.FR, {**event, "book_until": event["offered_until"]}))
    assert "Ce jour ne peut plus être réservé." in plain
    assert "cochez-le" not in plain

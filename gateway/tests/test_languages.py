"""The parents' pages say nothing that a catalogue does not have, in any language; the town hall's are French."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path

import holidays
import pytest
from jinja2 import Environment, nodes
from vacances_scolaires_france import SchoolHolidayDates

import gateway
from chassis.languages import catalogue
from contracts.model import Language
from gateway import languages
from gateway.pages.shared.language import preferred
from gateway.pages.shared.planning_messages import DAYS_OFF, day_off_name
from gateway.pages.shared.rendering import templates
from tests.support.sentences import sentences

ROOT = Path(gateway.__file__).parent
OTHERS = sorted(set(Language) - {Language.FR})
DEVELOPERS_TEMPLATES = {"api"}
"""English for everybody, as the code is."""
SHARED_STAFF_MODULES = {
    *("confirmation", "deadline_messages", "household_account", "money_questions", "payment_messages", "school_list"),
}
"""Shared by the town hall's pages, or with them; what parents read of them is said by ``_``."""
PARENTS_TEMPLATES = sorted(
    path
    for place in ("parents", "shared")
    for path in (ROOT / "templates" / place).glob("*.html")
    if path.stem not in DEVELOPERS_TEMPLATES
)
PARENTS_MODULES = sorted(
    path
    for place in ("parents", "shared")
    for path in (ROOT / "pages" / place).glob("*.py")
    if path.stem not in SHARED_STAFF_MODULES
) + [ROOT / "forms" / f"{name}.py" for name in ("edit_conflicts", "fields", "month")]
SAID_AS_IT_IS = {"Préau", "·", "wide"}
"""The portal's own name, and the class of a wide page."""
SPOKEN = ("aria-label", "alt", "title", "placeholder")
SAYERS = {"_", "N_", "ngettext"}


@pytest.fixture(autouse=True)
def _french_again() -> Iterator[None]:
    yield
    languages.use_language(Language.FR)


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_in_the_catalogue_and_no_entry_is_left_over(language: Language) -> None:
    said, known = sentences(), catalogue(languages.FOLDER, language).words
    assert len(said) > 400
    assert set(said) - set(known) == set(), "missing in the catalogue"
    assert set(known) - set(said) == set(), "said nowhere any more"
    for french, forms in said.items():
        assert len(known[french]) == len(forms), french
        for one, other in zip(forms, known[french], strict=True):
            assert other.strip() or not one.strip(), f"« {french} » has no words"
            assert marks(one) == marks(other), french


def marks(text: str) -> list[str]:
    """What must be the same in every language: values and tags."""
    return sorted(re.findall(r"{\w+}|%s|<[^>]*>|\|", text))


class Spoken(HTMLParser):
    """The words that a reader or a screen reader meets in a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.feed(html)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - theirs
        self.words += [value or "" for name, value in attrs if name in SPOKEN]


@pytest.mark.parametrize("path", PARENTS_TEMPLATES, ids=lambda path: path.stem)
def test_no_word_stands_in_a_template_of_parents_without_being_said_in_a_language(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    bare = re.sub(r"{#.*?#}|{%.*?%}|{{.*?}}", "", source, flags=re.DOTALL)
    found = {word for text in Spoken(bare).words for word in text.split() if re.search(r"[^\W\d_]{2,}", word)}
    assert found <= SAID_AS_IT_IS
    strings = {
        text for each in Environment(autoescape=True).parse(source).find_all(nodes.Output) for text in _told(each)
    }
    assert {text for text in strings if is_prose(text)} <= {"Français"}


def _told(node: nodes.Node) -> Iterator[str]:
    """The strings that an expression may put on the page, but for what ``_`` says and what only chooses."""
    for child in node.iter_child_nodes():
        match child:
            case nodes.Const(value=str() as text):
                yield text
            case nodes.Call(node=nodes.Name(name=name)) if name in SAYERS:
                yield from (text for pair in child.kwargs for text in _told(pair))
            case nodes.Compare() | nodes.Getitem() | nodes.Filter() | nodes.TemplateData():
                continue
            case _:
                yield from _told(child)


def is_prose(text: str) -> bool:
    """Whether a person would read it: it has an accent, or begins as a sentence does."""
    return bool(re.search(r"[À-ÿ«]", text) or re.match(r"\s*[A-Z][a-z']+( |$)", text))


@pytest.mark.parametrize("path", PARENTS_MODULES, ids=lambda path: path.stem)
def test_no_french_stands_in_the_python_of_parents_without_being_said_in_a_language(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    excused = {id(part) for node in ast.walk(tree) if _is_excused(node) for part in ast.walk(node)}
    found = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in excused
    ]
    assert [text for text in found if " " in text.strip() and is_prose(text)] == []


def _is_excused(node: ast.AST) -> bool:
    """Docstrings, and what is handed to ``_``, ``N_`` or ``ngettext``."""
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_docstring or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYERS)


def test_every_published_holiday_has_its_name_in_every_language() -> None:
    published = SchoolHolidayDates()
    names = {
        entry["nom_vacances"]
        for year in range(max(2024, published.min_year), published.max_year + 1)
        for entry in published.holidays_for_year(year).values()
    }
    for subdivision in (None, *holidays.France.subdivisions):
        public = holidays.country_holidays("FR", subdiv=subdivision, years=range(2024, 2031), language="fr")
        names |= set(public.values())
    assert {name for each in names for name in each.split("; ")} <= DAYS_OFF
    languages.use_language(Language.EN)
    assert day_off_name("Abolition de l'esclavage; Lundi de Pentecôte") == "Abolition of Slavery Day; Whit Monday"
    assert day_off_name("Grève; Noël") == "Grève; Noël"
    assert day_off_name(None) == ""


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "fr"),
        ("*", "fr"),
        ("de-DE, de;q=0.9", "fr"),
        ("en-GB,en;q=0.9,fr;q=0.8", "en"),
        ("fr;q=0.5, EN-us", "en"),
        ("fr-FR,fr;q=0.9,en-US;q=0.8", "fr"),
        ("en;q=0, fr;q=0.1", "fr"),
        ("en;q=much, fr;q=0.1", "fr"),
        ("de, en;q=0.3", "en"),
    ],
)
def test_a_visitor_is_met_in_the_language_of_the_browser(accepted: str, language: str) -> None:
    assert preferred(accepted) == language


def test_amounts_and_days_are_written_as_each_language_does() -> None:
    at, day, first = datetime(2026, 9, 3, 10, 30, tzinfo=UTC), date(2026, 9, 3), date(2026, 12, 1)
    written = {}
    for language in Language:
        languages.use_language(language)
        written[language] = [
            *(languages.euros(123_450), languages.euros(-5), languages.decimal_amount(4250)),
            *(languages.month(day), languages.long_day(day), languages.brief_day(day), languages.short_day(day)),
            *(languages.instant(at), languages.deadline(at), languages.deadline(at, day), languages.weekday(1)),
            languages.long_day(first),
        ]
    assert [text.replace("\u202f", " ").replace("\u00a0", " ") for text in written[Language.FR]] == [
        *("1 234,50 €", "−0,05 €", "42,50"),
        *("septembre 2026", "jeudi 3 septembre", "jeu. 3", "Je 03-09-2026"),
        *("Je 03-09-2026 à 12:30", "jeu. 3/09 à 12 h 30", "jeu. 3 à 12 h 30", "lun."),
        "mardi 1er décembre",
    ]
    assert [text.replace("\u00a0", " ") for text in written[Language.EN]] == [
        *("€1,234.50", "−€0.05", "42.50"),
        *("September 2026", "Thursday 3 September", "Thu 3", "Thu 3 Sept 2026"),
        *("Thu 3 Sept 2026, 12:30", "Thu 3 Sept, 12:30", "Thu 3, 12:30", "Mon"),
        "Tuesday 1 December",
    ]


def test_no_line_of_french_begins_with_a_question_mark_or_ends_with_an_opening_quote() -> None:
    languages.use_language(Language.FR)
    assert languages._("Codes oubliés ?") == "Codes oubliés\N{NO-BREAK SPACE}?"
    assert str(languages.marked("n° {number} : « {name} »", number=3, name="a : b")) == (
        "n°\N{NO-BREAK SPACE}3\N{NO-BREAK SPACE}: «\N{NO-BREAK SPACE}a : b\N{NO-BREAK SPACE}»"
    )
    languages.use_language(Language.EN)
    assert languages._("Codes oubliés ?") == "Forgotten codes?"


@pytest.mark.parametrize(("language", "counts"), [("fr", "0 jour, 1 jour, 2 jours"), ("en", "0 days, 1 day, 2 days")])
def test_a_count_takes_its_form(language: str, counts: str, tmp_path: Path) -> None:
    words = 'msgid "{count} jour"\nmsgid_plural "{count} jours"\nmsgstr[0] "{count} day"\nmsgstr[1] "{count} days"\n'
    (tmp_path / "en.po").write_text(f'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n{words}')
    read = catalogue(tmp_path, Language(language))
    assert ", ".join(read.counted("{count} jour", "{count} jours", n).format(count=n) for n in range(3)) == counts


def test_a_value_in_a_sentence_of_a_template_is_escaped() -> None:
    languages.use_language(Language.EN)
    shown = templates.from_string('{{ _("Bonjour {name}", name=name) }}').render(name="<b>")
    assert shown == "Hello &lt;b&gt;"

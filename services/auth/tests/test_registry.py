"""The registry: changes with versions, files of families, letters, what is told and forgotten."""

import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from auth.__main__ import create_staff, export_families, import_families, republish
from auth.jobs import FAILED_TWICE, one_import
from chassis.database import DATABASE
from chassis.testing import columns_with, eventually
from local_stack.packages import pdf_tools

FILE = """Foyer;Nom du foyer;Adresse;Complément;Code postal;Commune;Responsable 1 nom;Responsable 1 prénom;\
Responsable 1 email;Responsable 2 nom;Responsable 2 prénom;N° enfant;Nom enfant;Prénom enfant;Naissance;École;\
Classe;Garde
A1;Famille Dupont;1 rue de l'École;;56700;Saint-Aubin;Dupont;Hélène;helene@example.org;;;E1;Dupont;Léa;17/04/2018;\
École Jacques-Prévert;CE1;semaines paires
A1;Famille Dupont;1 rue de l'École;;56700;Saint-Aubin;Dupont;Hélène;helene@example.org;;;E2;Dupont;Tom;02/09/2020;\
École Jacques-Prévert;CP;libre
B2;Famille Martin;9 place du Marché;Bât. B;56700;Saint-Aubin;Martin;Ali;;Martin;Zoé;E1;Dupont;Léa;17/04/2018;\
École Jacques-Prévert;CE1;semaines impaires
C3;Famille Sans-Enfant;2 rue Neuve;;56700;Saint-Aubin;Petit;Nadia;;;;;;;;;;
"""


async def read(town: Any, content: str | bytes, headers: dict[str, str]) -> dict[str, Any]:
    """Send a file and wait for what it would change."""
    body = content if isinstance(content, bytes) else content.encode()
    response = await town.client.post("/imports", data=body, headers={**headers, "X-File-Name": "familles.csv"})
    assert response.status == 202, await response.text()
    return await done(town, (await response.json())["import_id"], headers)


async def done(town: Any, import_id: str, headers: dict[str, str]) -> dict[str, Any]:
    async def ask() -> dict[str, Any] | None:
        view: dict[str, Any] = await (await town.client.get(f"/imports/{import_id}", headers=headers)).json()
        return view if view["status"] not in {"reading", "applying"} else None

    return await eventually(ask)


async def apply(town: Any, view: dict[str, Any], headers: dict[str, str], **payload: bool) -> dict[str, Any]:
    path = f"/imports/{view['import_id']}/apply"
    for _ in range(2):
        assert (await town.post(path, payload, headers)).status == 202
    return await done(town, view["import_id"], headers)


def counts(view: dict[str, Any]) -> tuple[int, int, int, int]:
    report = view["report"]
    return report["added"], report["changed"], report["gone"], report["same"]


async def test_a_file_is_read_shown_applied_once_and_changes_nothing_the_second_time(town: Any) -> None:
    headers = await town.staff()
    shown = await read(town, FILE, headers)
    assert (shown["status"], counts(shown)) == ("read", (3, 0, 0, 0))
    assert await town.sql("SELECT count(*) FROM household") == 0
    assert (await apply(town, shown, headers))["status"] == "applied"
    assert await town.sql("SELECT count(*) FROM child") == 2
    assert await town.sql("SELECT count(*) FROM household_child") == 3
    for encoding in ("utf-8-sig", "cp1252"):
        again = await read(town, FILE.replace(";", ",").encode(encoding), headers)
        assert (again["status"], counts(again)) == ("read", (0, 0, 0, 3))
    families = (await (await town.client.get("/households", headers=headers)).json())["households"]
    assert [(each["reference"], each["version"]) for each in families] == [("A1", 1), ("B2", 1), ("C3", 1)]
    assert [child["custody"] for each in families for child in each["children"]] == ["even_weeks", "free", "odd_weeks"]
    assert {(await town.mailed("auth.household.changed"))["reference"] for _ in range(3)} == {"A1", "B2", "C3"}


async def test_what_differs_is_said_in_words_and_reaches_every_household_of_a_shared_child(town: Any) -> None:
    headers = await town.staff()
    await apply(town, await read(town, FILE, headers), headers)
    lines = FILE.replace("CE1", "CE2").replace("Hélène", "Helene").splitlines()
    shown = await read(town, "\n".join([*lines[:2], lines[2].replace("Tom", "Thomas")]), headers)
    assert counts(shown) == (0, 1, 2, 0)
    (added, changed, *gone) = shown["report"]["differences"]
    assert (added["kind"], added["details"]) == ("school", ["classe ajoutée : CE2"])
    assert "Léa, classe : CE1 → CE2" in changed["details"]
    assert "enfant ajouté" not in " ".join(changed["details"])
    assert [each["reference"] for each in gone] == ["B2", "C3"]
    assert (await apply(town, shown, headers))["status"] == "applied"
    views = (await (await town.client.get("/households", headers=headers)).json())["households"]
    assert [(each["reference"], each["version"], each["active"]) for each in views] == [
        ("A1", 2, True),
        ("B2", 2, True),
        ("C3", 1, True),
    ]
    assert views[1]["children"][0]["class_name"] == "CE2"


def with_language(content: str, **languages: str) -> str:
    """The file with a column « Langue »: of the households named, those words; of the others, nothing."""
    head, *lines = content.splitlines()
    told = [f"{line};{languages.get(line.split(';')[0], '')}" for line in lines]
    return "\n".join([f"{head};Langue", *told])


async def test_the_language_of_a_household_comes_by_file_and_stays_when_nothing_is_said_of_it(town: Any) -> None:
    headers = await town.staff()
    shown = await read(town, with_language(FILE, A1="anglais", B2="Français"), headers)
    added = {each["reference"]: each["details"] for each in shown["report"]["differences"]}
    assert "langue : anglais" in added["A1"]
    assert not any("langue" in each for each in (*added["B2"], *added["C3"]))
    await apply(town, shown, headers)
    kept = await town.sql("SELECT string_agg(reference || locale, ' ' ORDER BY reference) FROM household")
    assert kept == "A1en B2fr C3fr"
    for unsaid in (FILE, with_language(FILE)):
        assert counts(await read(town, unsaid, headers)) == (0, 0, 0, 3)
    export = await (await town.client.get("/households.csv", headers=headers)).text()
    assert [line.split(";")[6] for line in export.splitlines()] == ["Langue", "anglais", "anglais", *["français"] * 2]
    assert counts(await read(town, export, headers)) == (0, 0, 0, 3)
    moved = await read(town, with_language(FILE, A1="fr", C3="EN"), headers)
    changes = {each["reference"]: each["details"] for each in moved["report"]["differences"]}
    assert changes == {"A1": ["langue : anglais → français"], "C3": ["langue : français → anglais"]}


async def test_a_language_nobody_knows_is_refused_by_line_and_column(town: Any) -> None:
    headers = await town.staff()
    lines = with_language(FILE, A1="fr", B2="klingon").splitlines()
    view = await read(town, "\n".join([*lines[:2], lines[2].removesuffix("fr") + "en", *lines[3:]]), headers)
    errors = [(each["line"], each["column"], each["message"]) for each in view["report"]["errors"]]
    assert errors == [
        (3, "Langue", "diffère de la ligne 2, qui décrit le même foyer"),
        (4, "Langue", "les langues connues : français, anglais"),
    ]


async def test_the_language_is_told_to_who_signs_in_told_again_and_exported(town: Any, tmp_path: Path) -> None:
    made = await town.has_household(locale="en")
    session = await town.session()
    assert (await (await town.token_of(session)).json())["locale"] == "en"
    assert (await (await town.post("/sessions/state", {"session": session})).json())["locale"] == "en"
    staff = await town.session("admin", "admin-secret")
    assert (await (await town.token_of(staff)).json())["locale"] == "fr"
    assert (await town.mailed("auth.household.changed"))["locale"] == "en"
    assert await republish(town.settings, []) == 0
    assert (await town.mailed("auth.household.changed"))["locale"] == "en"
    path = f"/households/{made['household_id']}"
    export = await (await town.client.get(f"{path}/export", headers=await town.headers(session))).json()
    assert export["household"]["locale"] == "en"
    response = await town.post("/letters", {"household_id": made["household_id"]}, await town.staff())
    assert "Your access codes" in letter_text(await response.read(), tmp_path)
    assert (await town.post(f"{path}/erase", {"reference": "F-0001"}, await town.staff())).status == 204
    assert await town.sql("SELECT locale FROM household") == "fr"


async def test_households_the_file_lacks_are_closed_only_when_asked_and_their_guardians_signed_out(town: Any) -> None:
    await town.has_household()
    session, headers = await town.session(), await town.staff()
    shown = await read(town, FILE, headers)
    assert (await apply(town, shown, headers, close_missing=True))["status"] == "applied"
    assert (await town.token_of(session)).status == 401
    assert (await town.sign_in("camille.d", "un-bon-secret")).status == 401
    assert (await town.mailed("auth.session.ended"))["session_id"]


async def test_every_wrong_cell_is_named_by_line_and_column_and_nothing_is_kept(town: Any) -> None:
    headers = await town.staff()
    lines = FILE.splitlines()
    wrong = "\n".join(
        [
            *lines[:2],
            lines[2].replace("02/09/2020", "31/02/2020"),
            lines[3].replace("Famille Martin", "").replace("Léa", "Lea"),
            lines[4] + ";;;;;;;",
            lines[1].replace("A1", "D4").replace("helene@example.org", "helene@").replace("E1;", "E9;"),
            lines[1].replace("1 rue", "3 rue"),
            lines[1].replace("A1", "F6").replace("semaines paires", "un jour sur deux").replace("E1;", "E8;"),
            lines[1].replace("A1", "G7").replace("CE1", "CM2"),
        ]
    )
    view = await read(town, wrong, headers)
    assert view["status"] == "refused"
    found = [(each["line"], each["column"]) for each in view["report"]["errors"]]
    assert found == [
        (3, "Naissance"),
        (4, "Nom du foyer"),
        (6, "Responsable 1 email"),
        (7, "Adresse"),
        (8, "Garde"),
        (9, "N° enfant"),
    ]
    assert (await town.post(f"/imports/{view['import_id']}/apply", {}, headers)).status == 409
    assert await town.sql("SELECT count(*) FROM household") == 0


@pytest.mark.parametrize(
    ("content", "column"),
    [(b"Foyer;Nom;Prix\n", "Nom"), (b"Foyer;Foyer\n", "Foyer"), (b"Foyer\nA1\n", "Nom du foyer"), (b"\x00\x01", "")],
)
async def test_what_is_no_file_of_families_is_said_at_its_first_line(town: Any, content: bytes, column: str) -> None:
    view = await read(town, content, await town.staff())
    assert view["status"] == "refused"
    assert view["report"]["errors"][0]["line"] == 1
    assert not column or view["report"]["errors"][0]["column"] == column


async def test_a_number_of_another_child_is_refused_and_joins_nobody(town: Any) -> None:
    headers = await town.staff()
    await apply(town, await read(town, FILE, headers), headers)
    taken = FILE.replace("Petit;Nadia;;;;;;;;;;", "Petit;Nadia;;;;E2;Petit;Rose;01/01/2019;École;CP;")
    view = await read(town, taken, headers)
    assert view["status"] == "refused"
    (error,) = view["report"]["errors"]
    assert (error["line"], error["column"]) == (5, "N° enfant")
    assert "décrit autrement à la ligne 3" in error["message"]
    lines = taken.splitlines()
    view = await read(town, "\n".join([lines[0], lines[4]]), headers)
    (error,) = view["report"]["errors"]
    assert (error["line"], error["column"]) == (2, "N° enfant")
    assert "Tom Dupont" in error["message"]
    assert await town.sql("SELECT count(*) FROM household_child") == 3


async def test_a_registry_that_moved_since_it_was_shown_is_shown_again_not_overwritten(town: Any) -> None:
    headers = await town.staff()
    await apply(town, await read(town, FILE, headers), headers)
    shown = await read(town, FILE.replace("CE1", "CE2"), headers)
    await town.sql("UPDATE household SET name = 'Famille Dupont-Petit' WHERE reference = 'A1'")
    again = await apply(town, shown, headers)
    assert again["status"] == "read"
    assert "nom : Famille Dupont-Petit → Famille Dupont" in again["report"]["differences"][1]["details"]
    assert (await apply(town, again, headers))["status"] == "applied"


async def test_an_import_whose_worker_died_in_the_middle_is_whole_or_not_there(town: Any) -> None:
    headers = await town.staff()
    shown = await read(town, FILE, headers)
    await town.sql(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'pulled plug'; END $$"
    )
    await town.sql("CREATE TRIGGER die BEFORE UPDATE ON household FOR EACH ROW EXECUTE FUNCTION die()")
    await town.sql("CREATE TRIGGER die BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION die()")
    assert (await town.post(f"/imports/{shown['import_id']}/apply", {}, headers)).status == 202
    app = town.client.app
    with pytest.raises(Exception, match="pulled plug"):
        while not await one_import(app[DATABASE]):
            pass
    assert await town.sql("SELECT count(*) FROM household") == 0
    await town.sql("DROP TRIGGER die ON account")
    await town.sql("UPDATE family_import SET attempts = 0")
    assert (await done(town, shown["import_id"], headers))["status"] == "applied"
    assert await town.sql("SELECT count(*) FROM household") == 3


async def test_a_file_that_ends_its_worker_twice_is_refused_with_the_reason(town: Any) -> None:
    headers = await town.staff()
    shown = await read(town, FILE, headers)
    await town.sql(
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'pulled plug'; END $$"
    )
    await town.sql("CREATE TRIGGER die BEFORE INSERT ON account FOR EACH ROW EXECUTE FUNCTION die()")
    assert (await town.post(f"/imports/{shown['import_id']}/apply", {}, headers)).status == 202
    view = await done(town, shown["import_id"], headers)
    assert (view["status"], view["report"]["errors"][0]["message"]) == ("refused", FAILED_TWICE)
    assert await town.sql("SELECT attempts FROM family_import") == 0
    assert await town.sql("SELECT count(*) FROM household") == 0


async def test_a_file_with_the_reference_of_an_erased_household_is_refused_by_line(town: Any) -> None:
    made, headers = await town.has_household(), await town.staff()
    erased = await town.post(f"/households/{made['household_id']}/erase", {"reference": "F-0001"}, headers)
    assert erased.status == 204
    view = await read(town, FILE.replace("A1;", "F-0001;"), headers)
    assert (view["status"], [each["line"] for each in view["report"]["errors"]]) == ("refused", [2])
    assert "effacé" in view["report"]["errors"][0]["message"]


async def test_a_second_guardian_of_one_name_is_added_and_nobody_is_overwritten(town: Any) -> None:
    made, headers = await town.has_household(), await town.staff()
    (guardian,) = made["guardians"]
    kept = {name: guardian[name] for name in ("guardian_id", "first_name", "last_name", "email")}
    namesake = {"first_name": guardian["first_name"], "last_name": guardian["last_name"], "email": "fils@example.org"}
    payload = {
        **{name: made[name] for name in ("name", "address", "locale", "children")},
        **{"seen_version": 1, "guardians": [kept, namesake]},
    }
    answer = await town.client.put(f"/households/{made['household_id']}", json=payload, headers=headers)
    assert answer.status == 200, await answer.text()
    now = (await answer.json())["guardians"]
    assert [each["email"] for each in now] == [guardian["email"], "fils@example.org"]
    assert now[0]["guardian_id"] == guardian["guardian_id"]
    exported = await (await town.client.get("/households.csv", headers=headers)).read()
    assert counts(await read(town, exported, headers)) == (0, 0, 0, 1)


async def test_export_and_import_are_each_other_by_command_too(
    town: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await town.has_household(name="=cmd()", address=["1 rue", "Bât. A", "Étage 2", "56700 Saint-Aubin"])
    file = tmp_path / "familles.csv"
    file.write_text(FILE, encoding="utf-8")
    assert await import_families(town.settings, [str(file), "--apply"]) == 0
    assert "3 foyers lus : 3 ajoutés, 0 changés, 1 absents" in capsys.readouterr().out
    copy = tmp_path / "copie.csv"
    assert await export_families(town.settings, [str(copy)]) == 0
    assert "'=cmd()" in copy.read_text(encoding="utf-8-sig")
    assert await import_families(town.settings, [str(copy)]) == 0
    assert "4 foyers lus : 0 ajoutés, 0 changés, 0 absents du fichier, 4 identiques" in capsys.readouterr().out
    file.write_text("Foyer\n", encoding="utf-8")
    assert await import_families(town.settings, [str(file)]) == 1
    assert "ligne 1, Nom du foyer" in capsys.readouterr().out


async def test_staff_change_a_household_as_they_saw_it_or_not_at_all(town: Any) -> None:
    made, headers = await town.has_household(), await town.staff()
    guardian, child = made["guardians"][0], made["children"][0]
    payload = {
        "seen_version": 1,
        "name": "Famille Dupont",
        "address": ["8 rue Neuve"],
        "locale": "en",
        "guardians": [
            {
                "guardian_id": guardian["guardian_id"],
                "first_name": "Camille",
                "last_name": "Durand",
                "email": guardian["email"],
            },
            {"first_name": "Noa", "last_name": "Dupont"},
        ],
        "children": [{**child, "custody_days": [{"first_day": "2026-09-01", "last_day": "2026-09-14"}]}],
    }
    path = f"/households/{made['household_id']}"
    answer = await town.client.put(path, json=payload, headers=headers)
    assert answer.status == 200, await answer.text()
    view = await answer.json()
    assert (view["version"], view["guardians"][0]["last_name"], view["locale"]) == (2, "Durand", "en")
    told = await town.mailed("auth.household.changed")
    while told["version"] == 1:
        told = await town.mailed("auth.household.changed")
    assert told["locale"] == "en"
    assert (
        await town.client.put(path, json={**payload, "seen_version": 2, "locale": "de"}, headers=headers)
    ).status == 422
    assert view["guardians"][0]["email"] == "camille@example.org"
    assert view["children"][0]["custody_days"][0]["last_day"] == "2026-09-14"
    assert (await town.client.put(path, json=payload, headers=headers)).status == 409
    same = {**payload, "seen_version": 2, "guardians": view["guardians"][:1]}
    same["guardians"] = [
        {k: g[k] for k in ("guardian_id", "first_name", "last_name", "email")} for g in view["guardians"]
    ]
    unchanged = await (await town.client.put(path, json=same, headers=headers)).json()
    assert unchanged["version"] == 2
    stranger = {**same, "guardians": [{"guardian_id": str(uuid4()), "first_name": "A", "last_name": "B"}]}
    assert (await town.client.put(path, json=stranger, headers=headers)).status == 422
    for email in ("somebody@example.org", None):
        other = {**same, "guardians": [{**same["guardians"][0], "email": email}, *same["guardians"][1:]]}
        answer = await town.client.put(path, json=other, headers=headers)
        assert (answer.status, (await answer.json())["code"]) == (422, "email_owned")
    left = {**same, "guardians": same["guardians"][1:]}
    answer = await town.client.put(path, json=left, headers=headers)
    assert (answer.status, (await answer.json())["code"]) == (422, "left_out")
    left["removed"] = [guardian["guardian_id"]]
    assert (await town.client.put(path, json=left, headers=headers)).status == 200
    assert (await town.sign_in("camille.d", "un-bon-secret")).status == 401


async def test_after_a_new_letter_the_old_mailbox_alone_gets_nobody_in(town: Any, tmp_path: Path) -> None:
    made = await town.has_household()
    payload = {"email": "camille@example.org", "client_address": "192.0.2.7"}
    assert (await town.post("/resets", payload)).status == 202
    before = await town.mailed("auth.reset.requested")
    response = await town.post("/letters", {"household_id": made["household_id"]}, await town.staff())
    lines = [line.split() for line in letter_text(await response.read(), tmp_path).splitlines()]
    secret = next(words[-1] for words in lines if words[:2] == ["Code", "secret"])
    used = await town.post("/resets/used", {"token": before["token"], "secret": "encore un bon secret"})
    assert used.status == 409, "a link made before the letter"
    assert (await town.post("/resets", payload)).status == 202
    await town.probe.none("auth.reset.requested", seconds=0.5)
    session = await town.session("camille.d", secret)
    first = {"session": session, "email": "camille@example.org", "secret": "trois mots nouveaux"}
    answer = await (await town.post("/sessions/first-secret", first)).json()
    assert answer["stage"] == "confirm_email", "the address is proved again, even when it is the same"
    assert (await town.token_of(answer["session"])).status == 403
    confirmed = await town.mailed("auth.email.given")
    assert (await town.post("/emails/confirmed", {"token": confirmed["token"]})).status == 200
    assert (await (await town.sign_in("camille.d", "trois mots nouveaux")).json())["stage"] == "open"


async def test_staff_join_another_households_child_and_both_households_hear_of_its_new_class(town: Any) -> None:
    first = await town.has_household()
    await town.post("/schools", {"name": first["children"][0]["school"], "classes": ["CE2"]}, await town.staff())
    wanted = {"reference": "F-0009", "guardians": [{"first_name": "Ali", "last_name": "Petit"}], "children": []}
    second, headers = await town.has_household(**wanted), await town.staff()
    guardian = {k: second["guardians"][0][k] for k in ("guardian_id", "first_name", "last_name")}
    child = {**first["children"][0], "class_name": "CE2", "custody": "odd_weeks"}
    payload = {
        "seen_version": 1,
        "name": "B",
        "address": ["2 rue B"],
        "locale": "fr",
        "guardians": [guardian],
        "children": [child],
    }
    answer = await town.client.put(f"/households/{second['household_id']}", json=payload, headers=headers)
    assert answer.status == 200, await answer.text()
    shown = await (await town.client.get(f"/households/{first['household_id']}", headers=headers)).json()
    assert (shown["version"], shown["children"][0]["class_name"], shown["children"][0]["custody"]) == (2, "CE2", "free")


def letter_text(pdf: bytes, folder: Path) -> str:
    pdf_tools()
    (folder / "letters.pdf").write_bytes(pdf)
    command = ["pdftotext", "-layout", str(folder / "letters.pdf"), "-"]
    return subprocess.run(command, capture_output=True, check=True, timeout=30).stdout.decode()


async def test_letters_carry_codes_that_work_and_are_made_once_a_guardian(town: Any, tmp_path: Path) -> None:
    headers = await town.staff()
    await apply(town, await read(town, FILE, headers), headers)
    listed = await (await town.client.get("/households?search=martin", headers=headers)).json()
    assert (listed["total"], listed["without_letter"]) == (1, 4)
    response = await town.post("/letters", {"limit": 3}, headers)
    text = letter_text(await response.read(), tmp_path)
    assert text.count("Code secret") == 3
    assert "Hélène Dupont" in text
    assert "https://familles.example" in text
    lines = [line.split() for line in text.splitlines()]
    identifier = next(words[-1] for words in lines if words[:1] == ["Identifiant"])
    secret = next(words[-1] for words in lines if words[:2] == ["Code", "secret"])
    assert (await (await town.sign_in(identifier, secret)).json())["stage"] == "choose_secret"
    assert (await town.post("/letters", {}, headers)).status == 200
    assert (await town.post("/letters", {}, headers)).status == 404


async def test_a_letter_that_cannot_be_written_is_left_out_and_the_others_are_printed(
    town: Any, tmp_path: Path
) -> None:
    long = {"first_name": "A" * 200, "last_name": "B" * 200}
    await town.has_household(reference="F-1", guardians=[long], children=[])
    await town.has_letter(reference="F-2")
    await town.sql("UPDATE account SET letter_at = NULL WHERE set_up = 'letter'")
    await town.sql("UPDATE household SET address = ARRAY['', '1 rue A'] WHERE reference = 'F-2'")
    headers = await town.staff()
    answer = await town.post("/letters", {}, headers)
    assert answer.status == 200, await answer.text()
    text = letter_text(await answer.read(), tmp_path).replace("\n", "")
    assert "F-1" in text
    assert "F-2" not in text
    assert await town.sql("SELECT count(*) FROM account WHERE letter_at IS NULL AND set_up = 'letter'") == 1
    assert await town.sql("SELECT count(*) FROM security_fact WHERE fact = 'letter impossible'") == 1


async def test_a_new_letter_ends_what_the_old_codes_opened(town: Any) -> None:
    made = await town.has_household()
    session, headers = await town.session(), await town.staff()
    response = await town.post("/letters", {"household_id": made["household_id"]}, headers)
    assert response.headers["Content-Type"] == "application/pdf"
    assert (await town.token_of(session)).status == 401
    assert (await town.sign_in("camille.d", "un-bon-secret")).status == 401


async def test_a_household_reads_all_that_is_kept_on_it_and_is_forgotten_but_for_its_reference(
    town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await town.has_household()
    shared = {"reference": "F-0009", "guardians": [{"first_name": "Ali", "last_name": "Petit"}]}
    await town.has_household(**shared, children=[{**made["children"][0], "custody": "odd_weeks"}])
    headers = await town.headers(await town.session())
    path = f"/households/{made['household_id']}"
    export = await (await town.client.get(f"{path}/export", headers=headers)).json()
    assert export["guardians"][0]["facts"][0]["fact"] == "signed in"
    assert "secret" not in str(export).replace("secret_hash", "!")
    monkeypatch.setenv("STAFF_SECRET", "clerk-secret")
    await create_staff(town.settings, ["--identifier", "clerk", "--name", "C", "--role", "clerk"])
    clerk, admin = await town.staff("clerk", "clerk-secret"), await town.staff()
    assert (await town.post(f"{path}/erase", {"reference": "F-0001"}, clerk)).status == 403
    await eventually(lambda: town.sql("SELECT bool_and(published_at IS NOT NULL) FROM outbox"))
    assert (await town.post(f"{path}/erase", {"reference": "F-0002"}, admin)).status == 409
    assert (await town.post(f"{path}/erase", {"reference": "F-0001"}, admin)).status == 204
    assert (await town.sign_in("camille.d", "un-bon-secret")).status == 401
    left = await town.sql("SELECT row_to_json(a)::text FROM account a WHERE household_id = $1", made["household_id"])
    assert "Camille" not in left
    assert "example.org" not in left
    assert await town.sql("SELECT count(*) FROM child") == 1
    kept = await town.sql("SELECT string_agg(data::text, ' ') FROM outbox")
    assert made["household_id"] in kept
    assert "Camille" not in kept
    assert await town.sql("SELECT reference FROM household WHERE household_id = $1", made["household_id"]) == "F-0001"
    told = await town.mailed("auth.household.changed")
    while told["active"]:
        told = await town.mailed("auth.household.changed")
    assert (told["name"], told["children"], told["erased"]) == ("(effacé)", [], True)
    told = await town.mailed("auth.guardian.changed")
    while not told["erased"]:
        told = await town.mailed("auth.guardian.changed")
    assert (told["first_name"], told["email"], told["active"]) == ("(effacé)", None, False)


async def test_no_table_holds_anything_of_an_erased_household(town: Any) -> None:
    headers = {**await town.staff(), "Idempotency-Key": "one-form-1"}
    await apply(town, await read(town, FILE, headers), {**headers, "Idempotency-Key": "two"})
    waiting = await read(town, FILE.replace("Hélène", "Hélène-Marie"), {**headers, "Idempotency-Key": "three"})
    found = await (await town.client.get("/households?search=dupont", headers=headers)).json()
    household = found["households"][0]
    assert (await town.post("/letters", {"household_id": household["household_id"]}, headers)).status == 200
    texts = ("Hélène", "Dupont", "helene@example.org", "1 rue de l'École", "2020-09-02", "02/09/2020")
    connection = await asyncpg.connect(town.settings.database_url)
    before = await columns_with(connection, *texts)
    assert {"account.first_name", "family_import.content", "family_import.report", "outbox.data"} <= before
    erase = f"/households/{household['household_id']}/erase"
    assert (await town.post(erase, {"reference": "A1"}, headers)).status == 204
    # The elder child lives with another household as well, and stays with it under its name.
    assert await columns_with(connection, *(each for each in texts if each != "Dupont")) == set()
    assert await columns_with(connection, "Dupont") <= {"child.last_name", "outbox.data"}
    await connection.close()
    view = await (await town.client.get(f"/imports/{waiting['import_id']}", headers=headers)).json()
    assert (view["status"], view["file_name"]) == ("refused", "familles.csv")
    assert "envoyez un fichier à jour" in view["report"]["errors"][0]["message"]


async def test_retention_forgets_what_is_old_and_only_that(town: Any) -> None:
    await town.has_household()
    await town.session()
    await town.sql("UPDATE session SET last_used_at = now() - interval '40 days'")
    await town.session()
    await town.sql(
        "INSERT INTO security_fact (at, fact, address) VALUES (now() - interval '400 days', 'old', ''), "
        "(now() - interval '300 days', 'kept', '')"
    )
    from auth.jobs import forget

    await forget(town.client.app)
    assert await town.sql("SELECT count(*) FROM session") == 1
    facts = await town.sql("SELECT array_agg(fact) FROM security_fact WHERE fact IN ('old', 'kept')")
    assert facts == ["kept"]


async def test_letters_and_files_sent_three_times_by_one_form_are_made_once(town: Any) -> None:
    headers = {**await town.staff(), "Idempotency-Key": "one-form-1"}
    made = await town.has_household()
    payload = {"household_id": made["household_id"]}
    answers = [await town.post("/letters", payload, headers) for _ in range(3)]
    letters = {await each.read() for each in answers}
    assert [each.status for each in answers] == [200, 200, 200]
    assert len(letters) == 1, "the same letter, with the codes that work"
    assert answers[2].headers["Content-Disposition"] == answers[0].headers["Content-Disposition"]
    kept = await town.sql("SELECT answer FROM idempotency_key WHERE scope LIKE 'POST /letters%'")
    assert letters.pop() not in kept, "codes are kept nowhere in the clear"
    imports = [await town.client.post("/imports", data=FILE.encode(), headers=headers) for _ in range(3)]
    assert len({(await each.json())["import_id"] for each in imports}) == 1

"""Schools and classes are a list: each spelling of a name is one of them, and nobody is put into another."""

import shutil
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from auth.settings import MIGRATIONS
from chassis.migrations import migrate
from chassis.testing import eventually

SPELT = ["École Jacques-Prévert", "Ecole Jacques-Prévert", "École  Jacques‑Prévert", "E\u0301cole Jacques Prévert"]
HEAD = (
    "Foyer;Nom du foyer;Adresse;Responsable 1 nom;Responsable 1 prénom;Nom enfant;Prénom enfant;Naissance;École;Classe"
)


def file_of(*schools: tuple[str, str]) -> bytes:
    rows = [
        f"S{number};S;1 rue S;S;Ana;S;Léa;10/03/2018;{school};{name}" for number, (school, name) in enumerate(schools)
    ]
    return "\n".join([HEAD, *rows]).encode()


async def sent(town: Any, content: bytes, headers: dict[str, str]) -> dict[str, Any]:
    view = await (await town.client.post("/imports", data=content, headers=headers)).json()
    return await read(town, view["import_id"], headers)


async def read(town: Any, import_id: str, headers: dict[str, str]) -> dict[str, Any]:
    async def ask() -> dict[str, Any] | None:
        view: dict[str, Any] = await (await town.client.get(f"/imports/{import_id}", headers=headers)).json()
        return view if view["status"] not in {"reading", "applying"} else None

    return await eventually(ask)


async def listed(town: Any, headers: dict[str, str]) -> dict[str, dict[str, int]]:
    found = (await (await town.client.get("/schools", headers=headers)).json())["schools"]
    return {each["name"]: {of["name"]: of["children"] for of in each["classes"]} for each in found}


def payload(made: dict[str, Any], **child: Any) -> dict[str, Any]:
    """The household as it is, its child changed."""
    names = ("guardian_id", "first_name", "last_name", "email")
    return {
        **{name: made[name] for name in ("name", "address", "locale")},
        "seen_version": made["version"],
        "guardians": [{name: each[name] for name in names} for each in made["guardians"]],
        "children": [{**made["children"][0], **child}],
    }


async def test_a_file_finds_the_registered_spelling_and_shows_what_it_adds_before_it_does(town: Any) -> None:
    headers = await town.staff()
    shown = await sent(
        town, file_of((SPELT[0], "CE1"), *((each, "ce1") for each in SPELT[1:]), ("Le Bourg", "CP")), headers
    )
    assert shown["status"] == "read", shown
    new = [(each["name"], each["details"]) for each in shown["report"]["differences"] if each["kind"] == "school"]
    assert new == [(SPELT[0], ["classe ajoutée : CE1"]), ("Le Bourg", ["classe ajoutée : CP"])]
    assert await listed(town, headers) == {}, "a dry run adds nothing"
    assert (await town.post(f"/imports/{shown['import_id']}/apply", {}, headers)).status == 202
    assert (await read(town, shown["import_id"], headers))["status"] == "applied"
    assert await listed(town, headers) == {SPELT[0]: {"CE1": 4}, "Le Bourg": {"CP": 1}}
    again = await sent(town, file_of((SPELT[3].upper(), "Ce1")), headers)
    assert [each["kind"] for each in again["report"]["differences"] if each["reference"] == "S0"] == []


async def test_a_slip_in_the_name_of_a_school_is_refused_with_the_one_that_may_be_meant(town: Any) -> None:
    headers = await town.staff()
    assert (await town.post("/schools", {"name": SPELT[0], "classes": ["CE1"]}, headers)).status == 201
    shown = await sent(town, file_of((SPELT[0], "CE1"), ("École Jacques-Prevrt", "CE1")), headers)
    assert shown["status"] == "refused"
    (error,) = shown["report"]["errors"]
    assert (error["line"], error["column"]) == (3, "École")
    assert SPELT[0] in error["message"]


async def test_a_page_puts_children_into_registered_schools_and_classes_alone(town: Any) -> None:
    made, headers = await town.has_household(), await town.staff()
    path, school = f"/households/{made['household_id']}", made["children"][0]["school"]
    for child, said in (
        ({"school": "Jules-Ferry"}, {"school": "Jules-Ferry", "near": []}),
        ({"school": school[:-1]}, {"school": school[:-1], "near": [school]}),
        ({"class_name": "CE2"}, {"school": school, "class_name": "CE2"}),
    ):
        answer = await town.client.put(path, json=payload(made, **child), headers=headers)
        problem = await answer.json()
        assert (answer.status, problem["code"]) == (422, "school_unknown")
        assert said.items() <= problem.items()
        assert problem["child"] == 0
    assert (await town.post("/schools", {"name": school.upper(), "classes": ["CE2"]}, headers)).status == 201
    answer = await town.client.put(path, json=payload(made, school=SPELT[2], class_name="ce2"), headers=headers)
    (child,) = (await answer.json())["children"]
    assert (child["school"], child["class_name"]) == (school, "CE2")


async def test_a_new_name_reaches_every_child_and_a_closed_school_takes_no_more(
    town: Any,
) -> None:
    made, headers = await town.has_household(), await town.staff()
    (school,) = (await (await town.client.get("/schools", headers=headers)).json())["schools"]
    path, change = f"/schools/{school['school_id']}", {"seen_version": school["version"], "name": "École Prévert"}
    assert (await town.client.put(path, json={**change, "closed": True}, headers=headers)).status == 200
    assert (await town.client.put(path, json=change, headers=headers)).status == 409
    told = await town.mailed("auth.household.changed")
    while told["version"] == 1:
        told = await town.mailed("auth.household.changed")
    assert [each["school"] for each in told["children"]] == ["École Prévert"]
    now = await (await town.client.get(f"/households/{made['household_id']}", headers=headers)).json()
    address = f"/households/{made['household_id']}"
    stays = await town.client.put(address, json=payload(now, first_name="Zoé"), headers=headers)
    assert stays.status == 200, "who is there stays"
    joins = payload(await stays.json())
    joins["children"].append({**{name: joins["children"][0][name] for name in NEW}, "first_name": "Noé"})
    assert (await (await town.client.put(address, json=joins, headers=headers)).json())["code"] == "school_unknown"
    await town.post("/schools", {"name": "Le Bourg"}, headers)
    taken = {"seen_version": 2, "name": "le bourg"}
    assert (await (await town.client.put(path, json=taken, headers=headers)).json())["code"] == "school_name_taken"


NEW = ("last_name", "birth_date", "school", "class_name")


async def test_the_spellings_that_are_there_become_one_and_their_households_are_told(
    empty_database_url: str, tmp_path: Path
) -> None:
    """A registry of before, in which each slip of the keyboard was a school."""
    for file in MIGRATIONS.glob("[0-9]*.sql"):
        if file.name < "0008_schools.sql":
            shutil.copy(file, tmp_path)
    await migrate(empty_database_url, tmp_path)
    connection = await asyncpg.connect(empty_database_url)
    for number, school in enumerate([*SPELT, SPELT[0], "Le Bourg"]):
        await connection.execute(
            "WITH made AS (INSERT INTO household (reference, name, address) VALUES ($1, 'A', '{A}') RETURNING *), "
            "born AS (INSERT INTO child (first_name, last_name, birth_date, school, class_name) "
            "VALUES ('A', 'B', '2018-03-10', $2, $3) RETURNING *) INSERT INTO household_child "
            "(household_id, child_id, custody, position) SELECT household_id, child_id, 'free', 0 FROM made, born",
            f"F{number}",
            school,
            "CE 1" if number == 1 else "CE1",
        )
    await migrate(empty_database_url, MIGRATIONS)
    assert await connection.fetchval("SELECT array_agg(name ORDER BY name) FROM school") == ["Le Bourg", SPELT[0]]
    found = await connection.fetch("SELECT DISTINCT school, class_name FROM child ORDER BY school, class_name")
    assert [tuple(row) for row in found] == [("Le Bourg", "CE1"), (SPELT[0], "CE 1"), (SPELT[0], "CE1")]
    told = await connection.fetchval("SELECT array_agg(reference ORDER BY reference) FROM household WHERE to_tell")
    assert told == ["F1", "F2", "F3"]
    assert await connection.fetchval("SELECT bool_and(version = 1 + to_tell::int) FROM household")
    await connection.close()


@pytest.mark.parametrize("who", ["nobody", "parent"])
async def test_the_list_is_the_town_halls(town: Any, who: str) -> None:
    await town.has_household()
    headers = {} if who == "nobody" else await town.headers(await town.session())
    assert (await town.client.get("/schools", headers=headers)).status == (401 if who == "nobody" else 403)
    assert (await town.post("/schools", {"name": "A"}, headers)).status in {401, 403}

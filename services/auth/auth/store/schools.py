"""Schools and their classes."""

from collections import defaultdict
from uuid import UUID

from auth.domain.schools import School, Schools
from chassis.database import Transaction
from contracts.api.schools import SchoolClass, SchoolView
from contracts.names import name_key


async def load(tx: Transaction) -> Schools:
    """All of them, as the domain knows them."""
    classes: dict[UUID, dict[str, str]] = defaultdict(dict)
    for row in await tx.fetch("SELECT school_id, name, name_key FROM school_class"):
        classes[row["school_id"]][row["name_key"]] = row["name"]
    rows = await tx.fetch("SELECT school_id, name, closed FROM school")
    return Schools(School(**row, classes=classes[row["school_id"]]) for row in rows)


async def views(tx: Transaction) -> tuple[SchoolView, ...]:
    """All of them by name, with the children of each class."""
    counted = await tx.fetch(
        "SELECT s.school_id, c.class_name, count(*) AS children FROM child c JOIN school s ON s.name = c.school "
        "GROUP BY 1, 2"
    )
    children = {(row["school_id"], row["class_name"]): row["children"] for row in counted}
    classes: dict[UUID, list[SchoolClass]] = defaultdict(list)
    for row in await tx.fetch("SELECT school_id, name FROM school_class ORDER BY name"):
        count = children.get((row["school_id"], row["name"]), 0)
        classes[row["school_id"]].append(SchoolClass(name=row["name"], children=count))
    return tuple(
        SchoolView(**row, classes=tuple(classes[row["school_id"]]))
        for row in await tx.fetch("SELECT school_id, name, closed, version FROM school ORDER BY name")
    )


async def register(tx: Transaction, school: str, *class_names: str) -> None:
    """Have a school and classes of it in the list; those that are there keep their spelling."""
    school_id = await tx.fetchval(
        "INSERT INTO school (name, name_key) VALUES ($1, $2) ON CONFLICT (name_key) DO UPDATE SET name = school.name "
        "RETURNING school_id",
        school,
        name_key(school),
    )
    await tx.executemany(
        "INSERT INTO school_class (school_id, name, name_key) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        [(school_id, each, name_key(each)) for each in class_names],
    )


async def version_for_update(tx: Transaction, school_id: UUID) -> tuple[str, int] | None:
    row = await tx.fetchrow("SELECT name, version FROM school WHERE school_id = $1 FOR UPDATE", school_id)
    return (row["name"], row["version"]) if row else None


async def save(tx: Transaction, school_id: UUID, name: str, *, closed: bool) -> bool:
    """Another name, or closed; False when another school has that name. Its children's households are to be told."""
    if await tx.fetchval("SELECT true FROM school WHERE name_key = $1 AND school_id <> $2", name_key(name), school_id):
        return False
    before = await tx.fetchval("SELECT name FROM school WHERE school_id = $1", school_id)
    await tx.execute(
        "UPDATE school SET name = $2, name_key = $3, closed = $4, version = version + 1 WHERE school_id = $1",
        school_id,
        name,
        name_key(name),
        closed,
    )
    if before != name:
        await tx.execute(
            "UPDATE household SET to_tell = true, version = version + 1 WHERE household_id IN (SELECT household_id "
            "FROM household_child JOIN child USING (child_id) WHERE school = $1)",
            before,
        )
        await tx.execute("UPDATE child SET school = $2 WHERE school = $1", before, name)
    return True


async def to_tell(tx: Transaction, limit: int) -> list[UUID]:
    """Households that others must hear of, no more marked."""
    rows = await tx.fetch(
        "UPDATE household SET to_tell = false WHERE household_id IN (SELECT household_id FROM household WHERE to_tell "
        "LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING household_id",
        limit,
    )
    return [row["household_id"] for row in rows]

"""Messages for the families of an activity: those enrolled in it now or later, counted before anything is sent."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from chassis.clock import now, today
from chassis.testing import eventually
from contracts.events.auth import GuardianChanged, HouseholdChanged, HouseholdChild
from contracts.events.planning import BookedDay, BookingsChanged, Channel, EnrolmentChanged
from contracts.identity import Role

CANTEEN, CLUB = uuid4(), uuid4()


async def family(post: Any, household: UUID, child: UUID | None, *emails: str | None, version: int = 1) -> None:
    children = [child] if child else []
    await post.hears(
        HouseholdChanged(
            household_id=household,
            version=version,
            reference=household.hex[:8],
            name="Famille",
            address=("1 rue",),
            active=True,
            children=tuple(
                HouseholdChild(
                    child_id=each,
                    first_name="Léa",
                    last_name="D",
                    birth_date=date(2019, 1, 1),
                    school="Prévert",
                    class_name="CP",
                )
                for each in children
            ),
        )
    )
    for email in emails:
        await post.hears(
            GuardianChanged(
                guardian_id=uuid4(),
                household_id=household,
                version=1,
                first_name="Ana",
                last_name="D",
                email=email,
                active=True,
            )
        )


def enrolled(household: UUID, child: UUID, activity: UUID, *, days: int = 30, version: int = 1) -> EnrolmentChanged:
    return EnrolmentChanged(
        household_id=household,
        child_id=child,
        activity_id=activity,
        activity_label="Cantine" if activity == CANTEEN else "Club",
        first_day=today() - timedelta(days=60),
        last_day=today() + timedelta(days=days),
        version=version,
    )


async def counted(post: Any, **query: Any) -> tuple[int, int]:
    found = await (await post.client.get("/announcements/audience", params=query, headers=post.staff())).json()
    return found["households"], found["mails"]


async def save(post: Any, **more: Any) -> Any:
    payload = {"markdown": "Menus de Noël", "starts_at": (now() - timedelta(hours=1)).isoformat(), **more}
    return await post.client.post("/announcements", json=payload, headers=post.staff())


async def test_an_activitys_message_is_for_those_enrolled_and_goes_to_as_many_as_were_counted(post: Any) -> None:
    eats, left, moved, other = (uuid4() for _ in range(4))
    child, gone = uuid4(), uuid4()
    await family(post, eats, child, "one@example.org", "two@example.org", None)
    await post.hears(enrolled(eats, child, CANTEEN))
    await family(post, left, left, "left@example.org")
    await post.hears(enrolled(left, left, CANTEEN, days=-1))
    await family(post, moved, gone, "moved@example.org")
    await post.hears(enrolled(moved, gone, CANTEEN))
    await family(post, moved, None, version=2)
    await family(post, other, other, "other@example.org")
    await post.hears(enrolled(other, other, CLUB))
    assert await counted(post, activity_id=CANTEEN.hex) == (1, 2)
    assert await counted(post, school="Prévert") == (3, 4)
    assert await counted(post) == (4, 5)
    saved = await save(post, activity_id=str(CANTEEN), by_mail=True)
    archive = await saved.json()
    assert archive["announcements"][0]["activity_label"] == "Cantine"
    assert [each["label"] for each in archive["activities"]] == ["Cantine", "Club"]
    mails = await post.mails(2)
    assert {mail["To"] for mail in mails} == {"one@example.org", "two@example.org"}


async def test_it_is_shown_to_them_alone_and_not_above_the_sign_in_form(post: Any) -> None:
    child, other = uuid4(), uuid4()
    await family(post, post.household, child, "one@example.org")
    await post.hears(enrolled(post.household, child, CANTEEN))
    await family(post, other, other, "other@example.org")
    assert (await save(post, activity_id=str(CANTEEN))).status == 201
    for household, seen in ((post.household, 1), (other, 0)):
        path = f"/households/{household}/announcements"
        shown = await (await post.client.get(path, headers=post.staff())).json()
        assert len(shown["announcements"]) == seen
    assert (await (await post.client.get("/announcement")).json())["markdown"] == ""


async def test_who_is_still_booked_after_an_enrolment_ended_is_told_too(post: Any) -> None:
    child = uuid4()
    await family(post, post.household, child, "one@example.org")
    day = BookedDay(activity_id=CANTEEN, activity_label="Cantine", day=today() + timedelta(days=3), booked=True)
    booked = BookingsChanged(
        household_id=post.household,
        child_id=child,
        child_first_name="Léa",
        version=1,
        channel=Channel.INTERNET,
        changed_by=uuid4(),
        changed_at=now(),
        days=(day, day.model_copy(update={"activity_id": CLUB, "booked": False})),
    )
    await post.hears(booked)
    query = "SELECT count(*) FROM enrolment"
    await eventually(lambda: post.sql(query))
    await post.hears(enrolled(post.household, child, CANTEEN, days=-1))
    assert await counted(post, activity_id=CANTEEN.hex) == (1, 1)
    assert await counted(post, activity_id=CLUB.hex) == (0, 0)


async def test_an_older_word_about_an_enrolment_changes_nothing(post: Any) -> None:
    child = uuid4()
    await family(post, post.household, child, "one@example.org")
    await post.hears(enrolled(post.household, child, CANTEEN, days=-1, version=2))
    await post.hears(enrolled(post.household, child, CANTEEN, version=1))
    assert await counted(post, activity_id=CANTEEN.hex) == (0, 0)


async def test_what_is_no_audience(post: Any) -> None:
    both = {"school": "Prévert", "activity_id": str(CANTEEN)}
    assert (await save(post, **both)).status == 422
    assert (await save(post, activity_id=str(uuid4()))).status == 422
    for query in (both, {"activity_id": "x"}, {"nobody": "x"}):
        response = await post.client.get("/announcements/audience", params=query, headers=post.staff())
        assert response.status == 422
    keeper = post.staff(Role.CASHIER)
    assert (await post.client.get("/announcements/audience", headers=keeper)).status == 403


async def test_of_an_erased_household_no_activity_is_kept_nor_comes_back(post: Any) -> None:
    child = uuid4()
    await family(post, post.household, child, "one@example.org")
    await post.hears(enrolled(post.household, child, CANTEEN))
    rows = "SELECT count(*) FROM enrolment WHERE household_id = $1"
    await eventually(lambda: post.sql(rows, post.household))
    erased = {"version": 9, "reference": "F-1", "name": "(effacé)", "address": ("(effacé)",), "active": False}
    await post.hears(HouseholdChanged(household_id=post.household, children=(), erased=True, **erased))

    async def is_forgotten() -> bool:
        return await post.sql(rows, post.household) == 0

    await eventually(is_forgotten)
    late = enrolled(post.household, child, CLUB, version=2)
    other = enrolled(uuid4(), uuid4(), CLUB)
    await post.hears(late)
    await post.hears(other)
    await eventually(lambda: post.sql(rows, other.household_id))
    assert await post.sql(rows, post.household) == 0

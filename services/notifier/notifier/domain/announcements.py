"""Where a message of the town hall stands."""

from datetime import datetime

from contracts.api.notifier import AnnouncementState


def state(starts_at: datetime, ends_at: datetime | None, *, now: datetime) -> AnnouncementState:
    """Planned until it starts, ended from its end on."""
    if ends_at is not None and ends_at <= now:
        return AnnouncementState.ENDED
    return AnnouncementState.SHOWN if starts_at <= now else AnnouncementState.PLANNED

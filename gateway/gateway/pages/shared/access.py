"""Who may open a page: staff with a permission, or a guardian of a household."""

from aiohttp import web

from contracts.failures import Forbidden
from contracts.identity import Identity, Permission, Role, roles_with
from gateway.pages.shared.rendering import signed_in


async def require_staff(request: web.Request, permission: Permission) -> tuple[str, Identity]:
    """The session and the identity of a member of staff; ``Forbidden`` without the permission."""
    session, person = await signed_in(request)
    if not person.may(permission):
        raise Forbidden("this page is for others of the town hall", roles=roles_with(permission))
    return session, person


async def require_household(request: web.Request) -> tuple[str, Identity, str]:
    """The session, the identity and the path of its household; ``Forbidden`` for an account without a household."""
    session, person = await signed_in(request)
    if person.household_id is None:
        raise Forbidden("this page is a household's", roles=[Role.PARENT])
    return session, person, f"/households/{person.household_id}"

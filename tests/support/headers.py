"""The headers of every answer of the gateway: one table, and one rule for every cookie."""

import re
from http.cookies import Morsel
from typing import Any

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
"""Of the content security policy, besides where forms may lead: here and to the banks."""
REFERRER = {"same-origin", "no-referrer"}
KEPT = ("/static/", "/town.css", "/crest", "/calendrier/", "/api/v1/openapi.json")
"""What anybody may keep, or who has its secret address; nothing else may be stored."""


def wrong(answer: Any, *, is_secure: bool) -> list[str]:
    """What is missing from the head of an answer, or should not be there."""
    head, found = answer.headers, []
    policy = dict(part.strip().partition(" ")[::2] for part in head.get("Content-Security-Policy", "").split(";"))
    forms = policy.pop("form-action", "")
    if policy != POLICY or not forms.startswith("'self' ") or "*" in forms:
        found.append(f"content security policy: {head.get('Content-Security-Policy')}")
    if head.get("X-Content-Type-Options") != "nosniff":
        found.append("no nosniff")
    if head.get("Referrer-Policy") not in REFERRER:
        found.append(f"referrer policy: {head.get('Referrer-Policy')}")
    if ("max-age=31536000" in head.get("Strict-Transport-Security", "")) is not is_secure:
        found.append(f"transport security: {head.get('Strict-Transport-Security')}")
    if re.search(r"python|aiohttp|\d\.\d", head.get("Server", ""), re.IGNORECASE):
        found.append(f"tells its make: {head['Server']}")
    if not answer.url.path.startswith(KEPT) and answer.status != 304 and head.get("Cache-Control") != "no-store":
        found.append(f"may be stored: {head.get('Cache-Control')}")
    return found + [line for each in answer.cookies.values() for line in wrong_cookie(each, is_secure=is_secure)]


def wrong_cookie(cookie: Morsel[str], *, is_secure: bool) -> list[str]:
    """What a cookie lacks."""
    kept = (bool(cookie["httponly"]), cookie["samesite"], cookie["path"], bool(cookie["secure"]), cookie["domain"])
    if kept != (True, "Lax", "/", is_secure, "") or cookie.key.startswith("__Host-") is not is_secure:
        return [f"cookie {cookie.key}: {kept}"]
    return []

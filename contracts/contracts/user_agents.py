"""Which browser and system a user agent speaks of, as far as it says."""

BROWSERS = {
    "Edg": "Edge",
    "OPR": "Opera",
    "SamsungBrowser": "Samsung Internet",
    "Firefox": "Firefox",
    "FxiOS": "Firefox",
    "CriOS": "Chrome",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
SYSTEMS = {
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "Windows": "Windows",
    "Mac OS X": "Mac",
    "CrOS": "Chromebook",
    "Linux": "Linux",
}
"""Signs of a user agent, the telling ones first: every browser says that it is some of the others."""


def browser_and_system(user_agent: str) -> tuple[str, str]:
    """``("Firefox", "Android")``; what is not known is empty."""
    browser = next((name for sign, name in BROWSERS.items() if sign in user_agent), "")
    return browser, next((name for sign, name in SYSTEMS.items() if sign in user_agent), "")

"""The browser and system named by a user agent."""

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
"""Signs of browsers, specific ones first: every browser claims to be some of the others."""


def browser_and_system(user_agent: str) -> tuple[str, str]:
    """``("Firefox", "Android")``; what is not known is empty."""
    browser = next((name for sign, name in BROWSERS.items() if sign in user_agent), "")
    return browser, next((name for sign, name in SYSTEMS.items() if sign in user_agent), "")

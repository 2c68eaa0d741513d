"""What notifier refuses, by name."""

from contracts.failures import NotFound


class NoSuchMail(NotFound):
    """No mail of that id that could be sent again."""

    code = "no_such_mail"


class NoSuchAnnouncement(NotFound):
    """No message of that id that could be ended."""

    code = "no_such_announcement"


class NoSuchSubscription(NotFound):
    """The link of a mail that is nobody's, or of a kind that cannot be left."""

    code = "no_such_subscription"

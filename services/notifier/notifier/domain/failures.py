"""What notifier refuses, by name."""

from contracts.failures import NotFound


class NoSuchMail(NotFound):
    """No mail of that id that could be sent again."""

    code = "no_such_mail"


class NoSuchSubscription(NotFound):
    """The link of a mail that is nobody's, or of a kind that cannot be left."""

    code = "no_such_subscription"

"""Contacts, preferences and the mails that go out once a fact."""

"""Contacts, preferences and the mails that go out exactly once."""

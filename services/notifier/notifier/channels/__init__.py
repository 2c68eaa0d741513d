"""How a mail is written and how it leaves."""

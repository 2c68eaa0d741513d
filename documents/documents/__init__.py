"""PDFs as pure functions from a contract model to bytes: the same model gives the same bytes."""

from documents.certificates import certificate
from documents.invoices import credit_note, invoice
from documents.letters import access_letters
from documents.tickets import ticket

__all__ = ["access_letters", "certificate", "credit_note", "invoice", "ticket"]

-- Reminders of unpaid invoices: sent unless a guardian left them.
ALTER TABLE preference ADD COLUMN reminders boolean NOT NULL DEFAULT true;

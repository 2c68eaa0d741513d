-- What of a line counts for the tax credit (CGI, article 200 quater B): neither surcharges nor days of absence without a
-- reason. Unknown for lines published before: the whole line counts, or nothing of it.
ALTER TABLE invoice_line ADD COLUMN childcare_cents bigint;
-- A child that lives with two households by turns, as auth tells.
ALTER TABLE child ADD COLUMN alternating boolean NOT NULL DEFAULT false;

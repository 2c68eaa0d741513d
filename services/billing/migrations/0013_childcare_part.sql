-- What of a day's price is for looking after the child, where a tariff asks for more, as that of a canteen does for the
-- food: so many cents, or a percentage. Neither: the whole price.
ALTER TABLE tariff
    ADD COLUMN childcare_cents bigint CHECK (childcare_cents > 0),
    ADD COLUMN childcare_percent smallint CHECK (childcare_percent BETWEEN 1 AND 99),
    ADD CONSTRAINT one_part_of_care CHECK (num_nonnulls(childcare_cents, childcare_percent) <= childcare::integer);

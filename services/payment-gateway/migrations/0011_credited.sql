-- What billing made a credit of the household's, because it was settled before: it stays, while surplus_cents, the line on
-- the till keeper's list, goes with their decision.
ALTER TABLE payment ADD COLUMN credited_cents bigint NOT NULL DEFAULT 0 CHECK (credited_cents >= 0);
UPDATE payment SET credited_cents = surplus_cents WHERE surplus_cents > 0;

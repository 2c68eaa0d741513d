-- The language that a household is written to in, as long as a guardian has not chosen one.
ALTER TABLE household ADD COLUMN locale text NOT NULL DEFAULT 'fr' CHECK (locale IN ('fr', 'en'));

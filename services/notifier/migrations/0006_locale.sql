-- A household's language, as auth said it last: for a guardian who has not chosen one.
ALTER TABLE household ADD COLUMN locale text NOT NULL DEFAULT 'fr' CHECK (locale IN ('fr', 'en'));
ALTER TABLE preference ALTER COLUMN language DROP NOT NULL;

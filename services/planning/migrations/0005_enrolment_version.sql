-- Enrolments are told to others: the version tells which of two is the later one.
ALTER TABLE enrolment ADD COLUMN version bigint NOT NULL DEFAULT 1 CHECK (version > 0);

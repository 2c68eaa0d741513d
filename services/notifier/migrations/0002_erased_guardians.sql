-- Of whom nothing may be written any more, whatever is still on its way.
ALTER TABLE guardian ADD COLUMN erased boolean NOT NULL DEFAULT false;
CREATE INDEX ON mail (person_id);
CREATE INDEX ON bounce (mail_id);

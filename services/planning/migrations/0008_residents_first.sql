-- Where households live, as billing said it last; one that is not here lives in the town.
CREATE TABLE residence (
    household_id uuid PRIMARY KEY,
    version      bigint NOT NULL CHECK (version > 0)
);
CREATE TABLE residence_from (
    household_id uuid NOT NULL REFERENCES residence,
    first_day    date NOT NULL,
    resident     boolean NOT NULL,
    PRIMARY KEY (household_id, first_day)
);

-- Whether a household lives in the town on a day.
CREATE FUNCTION is_resident(the_household uuid, day date) RETURNS boolean LANGUAGE sql STABLE
    RETURN coalesce((SELECT resident FROM residence_from r WHERE r.household_id = the_household
        AND r.first_day <= day ORDER BY r.first_day DESC LIMIT 1), true);

ALTER TABLE activity ADD COLUMN residents_first boolean NOT NULL DEFAULT false;
ALTER TABLE waiting ADD COLUMN is_resident boolean NOT NULL DEFAULT true;

-- The waiting lists with what their order goes by: false comes before true, then by position.
CREATE VIEW waiting_list AS
    SELECT w.activity_id, w.day, w.child_id, w.household_id, w.waits_by, w.position,
        a.residents_first AND NOT w.is_resident AS is_outsider, NOT w.has_sibling AS is_alone
    FROM waiting w JOIN activity a USING (activity_id);

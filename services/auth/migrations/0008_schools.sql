-- The schools and classes of the town. A child's is one of them, in the spelling that is registered; name_key is what
-- two spellings of one name have in common (contracts.names.name_key).
CREATE TABLE school (
    school_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name      text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key  text NOT NULL UNIQUE,
    closed    boolean NOT NULL DEFAULT false,
    version   bigint NOT NULL DEFAULT 1
);
CREATE TABLE school_class (
    school_id uuid NOT NULL REFERENCES school,
    name      text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
    name_key  text NOT NULL,
    PRIMARY KEY (school_id, name_key)
);

-- Households of which a name changed by the registry: told to the others by a job, a few at a time.
ALTER TABLE household ADD COLUMN to_tell boolean NOT NULL DEFAULT false;
CREATE INDEX ON household (household_id) WHERE to_tell;

CREATE FUNCTION pg_temp.name_key(name text) RETURNS text LANGUAGE sql AS $$
    SELECT btrim(regexp_replace(
        lower(regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g')), '[^[:alnum:]]+', ' ', 'g'))
$$;

-- The spellings that are there, the one that most children have for each.
INSERT INTO school (name, name_key)
SELECT DISTINCT ON (key) btrim(normalize(school, NFC)), key
FROM (SELECT school, pg_temp.name_key(school) AS key, count(*) AS children FROM child GROUP BY school) AS spelt
WHERE key <> ''
ORDER BY key, children DESC, school;
INSERT INTO school_class (school_id, name, name_key)
SELECT DISTINCT ON (school_id, key) school_id, btrim(normalize(class_name, NFC)), key
FROM (SELECT s.school_id, c.class_name, pg_temp.name_key(c.class_name) AS key, count(*) AS children
      FROM child c JOIN school s ON s.name_key = pg_temp.name_key(c.school) GROUP BY 1, 2) AS spelt
WHERE key <> ''
ORDER BY school_id, key, children DESC, class_name;

WITH spelt AS (
    UPDATE child c SET school = s.name, class_name = coalesce(k.name, c.class_name)
    FROM school s LEFT JOIN school_class k USING (school_id)
    WHERE s.name_key = pg_temp.name_key(c.school)
      AND (k.name_key IS NULL OR k.name_key = pg_temp.name_key(c.class_name))
      AND (c.school <> s.name OR c.class_name <> k.name)
    RETURNING c.child_id
)
UPDATE household SET to_tell = true, version = version + 1
WHERE household_id IN (SELECT household_id FROM household_child JOIN spelt USING (child_id));

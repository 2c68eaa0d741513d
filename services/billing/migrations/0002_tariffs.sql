-- What a day costs, for whom and when. Two rules never both apply: a range of one text, or of all of them, stands for
-- the activity, the school and the residence, and the ranges of two rules never overlap in every respect.
CREATE TYPE textrange AS RANGE (subtype = text);

CREATE FUNCTION one_or_all(value text) RETURNS textrange LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN value IS NULL THEN textrange(NULL, NULL) ELSE textrange(value, value, '[]') END;

CREATE TABLE tariff (
    tariff_id        uuid PRIMARY KEY,
    label            text NOT NULL,
    activity_id      uuid NOT NULL,
    activity_label   text NOT NULL,
    school           text,
    resident         boolean,
    valid_from       date NOT NULL,
    valid_until      date CHECK (valid_until >= valid_from),
    formula          jsonb NOT NULL CHECK (formula ->> 'kind' IN ('flat', 'brackets', 'proportional')),
    sibling_percents integer[] NOT NULL,
    childcare        boolean NOT NULL,
    is_used          boolean NOT NULL DEFAULT false,
    CONSTRAINT one_tariff_applies EXCLUDE USING gist (
        one_or_all(activity_id::text) WITH &&,
        one_or_all(school) WITH &&,
        one_or_all(CASE resident WHEN true THEN 'yes' WHEN false THEN 'no' END) WITH &&,
        daterange(valid_from, valid_until, '[]') WITH &&
    )
);

-- A rule that made an invoice only ever ends.
CREATE FUNCTION refuse_used_tariff() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.is_used AND (TG_OP = 'DELETE' OR to_jsonb(NEW) - 'valid_until' IS DISTINCT FROM to_jsonb(OLD) - 'valid_until')
    THEN
        RAISE EXCEPTION 'tariff % made an invoice and only ever ends', OLD.tariff_id;
    END IF;
    RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER used BEFORE UPDATE OR DELETE ON tariff FOR EACH ROW EXECUTE FUNCTION refuse_used_tariff();

-- What is known of a household from a day on; a correction of a day is a newer row, the newest is the one that holds.
CREATE TABLE household_terms (
    terms_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    household_id   uuid NOT NULL REFERENCES household,
    valid_from     date NOT NULL,
    quotient_cents bigint CHECK (quotient_cents >= 0),
    resident       boolean NOT NULL,
    recorded_by    uuid NOT NULL,
    recorded_at    timestamptz NOT NULL
);
CREATE INDEX ON household_terms (household_id, valid_from, terms_id);
CREATE TRIGGER immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON household_terms
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

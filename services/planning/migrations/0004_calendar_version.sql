-- A new one with each change of the town's year: who has read the year under the same version need not read it again.
CREATE TABLE calendar_version (
    is_one  boolean PRIMARY KEY DEFAULT true CHECK (is_one),
    version uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO calendar_version DEFAULT VALUES;

CREATE FUNCTION renew_calendar_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE calendar_version SET version = gen_random_uuid();
    RETURN NULL;
END $$;
CREATE TRIGGER renews AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON school_holiday
    FOR EACH STATEMENT EXECUTE FUNCTION renew_calendar_version();
CREATE TRIGGER renews AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON public_holiday
    FOR EACH STATEMENT EXECUTE FUNCTION renew_calendar_version();
CREATE TRIGGER renews AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON school_day
    FOR EACH STATEMENT EXECUTE FUNCTION renew_calendar_version();
CREATE TRIGGER renews AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON closure
    FOR EACH STATEMENT EXECUTE FUNCTION renew_calendar_version();

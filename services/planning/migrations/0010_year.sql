-- Activities are of the town's year as its calendar is: who has read the year under a version knows them too.
CREATE TRIGGER renews AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON activity
    FOR EACH STATEMENT EXECUTE FUNCTION renew_calendar_version();

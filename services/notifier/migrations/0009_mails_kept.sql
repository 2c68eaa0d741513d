-- What is older than it is kept is deleted by an index, oldest first (chassis/retention.py): mails by `mail (created_at)`,
-- which is there, and reports by this one. On a large table make both beforehand, by CREATE INDEX CONCURRENTLY.
CREATE INDEX IF NOT EXISTS bounce_received ON bounce (received_at);
CREATE INDEX IF NOT EXISTS returned_address_mail ON returned_address (mail_id);

-- The list of messages still says how many mails a message made, and how many of them were sent.
ALTER TABLE announcement
    ADD COLUMN deleted_mails bigint NOT NULL DEFAULT 0,
    ADD COLUMN deleted_mails_sent bigint NOT NULL DEFAULT 0;
CREATE FUNCTION count_deleted_mails() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE announcement a SET deleted_mails = a.deleted_mails + d.mails, deleted_mails_sent = a.deleted_mails_sent + d.sent
    FROM (SELECT announcement_id, count(*) AS mails, count(*) FILTER (WHERE status = 'sent') AS sent FROM deleted
        WHERE announcement_id IS NOT NULL GROUP BY announcement_id ORDER BY announcement_id) d
    WHERE a.announcement_id = d.announcement_id;
    RETURN NULL;
END $$;
CREATE TRIGGER counted AFTER DELETE ON mail REFERENCING OLD TABLE AS deleted
    FOR EACH STATEMENT EXECUTE FUNCTION count_deleted_mails();

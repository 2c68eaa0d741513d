-- A report is recorded once, however it comes, and however often.
ALTER TABLE bounce ADD COLUMN fingerprint bytea;
UPDATE bounce SET fingerprint = sha256(raw || bounce_id::text::bytea);
ALTER TABLE bounce ALTER COLUMN fingerprint SET NOT NULL, ADD UNIQUE (fingerprint);

-- How far the mailbox of reports is read. Other UIDs than before begin when its UIDVALIDITY changes (RFC 3501).
CREATE TABLE bounce_mailbox (
    mailbox      text PRIMARY KEY,
    uid_validity bigint NOT NULL,
    last_uid     bigint NOT NULL
);

-- Addresses that nobody reads: a mail to one came back for good. Staff lift that by sending again.
CREATE TABLE returned_address (
    address     text PRIMARY KEY CHECK (address = lower(address)),
    mail_id     uuid NOT NULL REFERENCES mail,
    returned_at timestamptz NOT NULL
);

-- Nothing more is sent to such an address, whoever intends it, but a link that somebody has just asked for.
CREATE FUNCTION stop_returned() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.kind NOT IN ('reset', 'confirm_email')
        AND EXISTS (SELECT FROM returned_address WHERE address = lower(NEW.recipient)) THEN
        NEW.status := 'failed';
        NEW.last_answer := 'the address returns mails';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER not_to_returned BEFORE INSERT ON mail FOR EACH ROW EXECUTE FUNCTION stop_returned();

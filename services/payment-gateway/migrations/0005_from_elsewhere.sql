-- A notification from outside its bank's announced addresses is marked; nothing is refused for it.
ALTER TABLE bank_word ADD COLUMN is_elsewhere boolean NOT NULL DEFAULT false;
CREATE INDEX word_from_elsewhere ON bank_word (received_at) WHERE is_elsewhere;
CREATE TRIGGER mark_stays BEFORE UPDATE ON bank_word FOR EACH ROW
    WHEN (OLD.is_elsewhere IS DISTINCT FROM NEW.is_elsewhere) EXECUTE FUNCTION refuse_change();

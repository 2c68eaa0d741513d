-- Of whom nobody keeps a name any more: told to the others with the account's version.
ALTER TABLE account ADD COLUMN erased boolean NOT NULL DEFAULT false;
UPDATE account SET erased = true, version = version + 1 WHERE identifier LIKE 'erased-%';

-- A household that was erased: what is still heard of its days comes without names.
ALTER TABLE household ADD COLUMN erased boolean NOT NULL DEFAULT false;

-- Of an erased household nothing is kept that says which activities its children came to.
ALTER TABLE household ADD COLUMN erased boolean NOT NULL DEFAULT false;

-- A bank with 3-D Secure wants the payer's name beside the address of the checkout; both are forgotten with time.
ALTER TABLE payment ADD COLUMN payer_name text NOT NULL DEFAULT '';
CREATE INDEX homes_to_trim ON checkout (expires_at) WHERE opened -> 'household_address' <> '[]';

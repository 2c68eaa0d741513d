-- What attendance makes of a day's price, where a town invoices who came.
ALTER TABLE tariff ADD COLUMN attendance jsonb;

-- A day is what planning says of it: its booking and its attendance, each by its own version. « basis » puts both
-- together: NULL when there is nothing to invoice. « seen_as » is the basis that the last invoice or credit note knew: a
-- day waits for an invoice while the two differ. An invoiced day keeps the rule and the price before attendance that it
-- was invoiced by; « waived » is one that the town gave back by a credit note: whatever attendance says, it costs nothing.
ALTER TABLE usage
    DROP COLUMN invoiced,
    DROP CONSTRAINT usage_version_check,
    ADD CHECK (version >= 0),
    ADD COLUMN presence text CHECK (presence IN ('present', 'absent', 'justified', 'extra')),
    ADD COLUMN late_pickup boolean NOT NULL DEFAULT false,
    ADD COLUMN attendance_version bigint NOT NULL DEFAULT 0 CHECK (attendance_version >= 0),
    ADD COLUMN basis text GENERATED ALWAYS AS (
        CASE WHEN presence IN ('present', 'extra')
                 THEN CASE WHEN booked THEN 'present' ELSE 'extra' END || CASE WHEN late_pickup THEN '_late' ELSE '' END
             WHEN booked THEN coalesce(presence, 'booked') END
    ) STORED,
    ADD COLUMN seen_as text,
    ADD COLUMN invoiced_base_cents bigint CHECK (invoiced_base_cents >= 0),
    ADD COLUMN invoiced_tariff_id uuid REFERENCES tariff,
    ADD COLUMN waived boolean NOT NULL DEFAULT false CHECK (NOT waived OR invoice_id IS NOT NULL),
    ADD CHECK (num_nulls(invoice_id, invoiced_price_cents, invoiced_base_cents, invoiced_tariff_id) IN (0, 4));
CREATE INDEX usage_to_invoice ON usage (household_id, day) WHERE basis IS DISTINCT FROM seen_as;
CREATE INDEX ON usage (invoice_id) WHERE invoice_id IS NOT NULL;
CREATE INDEX ON usage (child_id, activity_id, day) WHERE presence IS NOT NULL;

-- Money of the account « bank » always says how it came or went and by which till; nothing else does.
ALTER TABLE ledger_entry
    ADD CHECK ((means IS NOT NULL) = (account = 'bank')),
    ADD CHECK ((till IS NOT NULL) = (account = 'bank'));

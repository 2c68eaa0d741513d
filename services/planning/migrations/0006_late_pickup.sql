-- A child that came, and was fetched late.
ALTER TABLE attendance
    ADD COLUMN late_pickup boolean NOT NULL DEFAULT false,
    ADD CHECK (NOT late_pickup OR presence IN ('present', 'extra'));

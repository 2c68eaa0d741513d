-- Payments that the till keeper must decide about: their checkout keeps its invoices until then. A hold that has ended
-- stays, so that the news of it may come before or after the news of the end.
CREATE TABLE payment_hold (
    payment_id  uuid PRIMARY KEY,
    checkout_id uuid NOT NULL,
    ended       boolean NOT NULL
);
CREATE INDEX ON payment_hold (checkout_id) WHERE NOT ended;

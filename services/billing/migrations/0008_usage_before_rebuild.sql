-- What `rebuild` compares with, within its transaction: the program's role makes no tables, not even temporary ones.
CREATE UNLOGGED TABLE usage_before_rebuild (
    household_id       uuid NOT NULL,
    child_id           uuid NOT NULL,
    activity_id        uuid NOT NULL,
    day                date NOT NULL,
    basis              text,
    version            bigint NOT NULL,
    attendance_version bigint NOT NULL,
    PRIMARY KEY (household_id, child_id, activity_id, day)
);

-- Places a day for the children of a school, within those of the activity: {"École Jacques-Prévert": 80, …}.
ALTER TABLE activity
    ADD COLUMN school_capacities jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(school_capacities) = 'object');

-- Names kept apart from what they belong to.

CREATE TABLE real_names (
    user_id         bigint PRIMARY KEY REFERENCES profiles ON DELETE CASCADE,
    name_encrypted  bytea NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE real_names IS 'Who the person behind a pseudonym is';
COMMENT ON COLUMN real_names.name_encrypted IS 'AES-GCM under a key derived from SECRET_KEY, which is not in the database';

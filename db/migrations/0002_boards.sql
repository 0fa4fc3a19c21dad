-- Boards that prove who they are (binary datagrams v2).

CREATE TABLE boards (
    board_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    user_id        bigint UNIQUE REFERENCES profiles ON DELETE SET NULL,
    key_encrypted  bytea,
    last_boot_id   bigint NOT NULL DEFAULT -1,
    created_at     timestamptz NOT NULL DEFAULT now(),
    key_made_at    timestamptz,
    CHECK ((key_encrypted IS NULL) = (key_made_at IS NULL))
);
COMMENT ON TABLE boards IS 'Boards that sign what they send, and the profile that each is assigned to; no key: revoked';
COMMENT ON COLUMN boards.key_encrypted IS 'AES-GCM under a key derived from SECRET_KEY, which is not in the database';
COMMENT ON COLUMN boards.last_boot_id IS 'Newest start of the board that was seen; datagrams of older ones are replays';

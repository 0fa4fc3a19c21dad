-- How the files that an account imports are laid out, remembered for the next file with the same columns.
CREATE TABLE import_layouts (
    account_id   bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    fingerprint  text NOT NULL CHECK (length(fingerprint) = 64),
    layout       jsonb NOT NULL,
    used_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, fingerprint)
);
COMMENT ON TABLE import_layouts IS 'How an account reads files with certain columns, as it said when it imported one';
COMMENT ON COLUMN import_layouts.fingerprint IS 'SHA-256 of the separator, the decimal sign and the columns, in hexadecimal';

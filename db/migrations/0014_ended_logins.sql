-- Logging out ends a login on the server, not only in the browser.

CREATE TABLE ended_logins (
    account_id  bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    issued_us   bigint NOT NULL,
    forget_at   timestamptz NOT NULL,
    PRIMARY KEY (account_id, issued_us)
);
CREATE INDEX ended_logins_by_time ON ended_logins (forget_at);
COMMENT ON COLUMN ended_logins.issued_us IS 'When the login was made: microseconds since the epoch';
COMMENT ON TABLE ended_logins IS 'Logins that were ended by logging out, until they would have ended anyway';

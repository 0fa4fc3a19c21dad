-- Logins are rows: seen, listed and ended one by one. What a browser keeps of one is stored as a hash.

DROP TABLE ended_logins;
ALTER TABLE accounts DROP COLUMN logged_out_at;

CREATE TABLE logins (
    login_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id    bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    token_hash    bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    binding_hash  bytea NOT NULL CHECK (length(binding_hash) = 32),
    method        text NOT NULL CHECK (method IN ('password', 'password and code', 'passkey', 'provider')),
    address       text NOT NULL DEFAULT '' CHECK (length(address) <= 100),
    agent         text NOT NULL DEFAULT '' CHECK (length(agent) <= 300),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    idle_at       timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX logins_by_account ON logins (account_id);
CREATE INDEX logins_by_expiry ON logins (expires_at);
COMMENT ON TABLE logins IS 'Who is logged in, in which browser; a login that ended has no row';
COMMENT ON COLUMN logins.token_hash IS 'SHA-256 of the cookie';
COMMENT ON COLUMN logins.binding_hash IS 'SHA-256 of what only pages of the app''s own origin have';
COMMENT ON COLUMN logins.confirmed_at IS 'When the person last proved to be it, by password, code, passkey or provider';
COMMENT ON COLUMN logins.idle_at IS 'When the login ends if the person does nothing more';

CREATE TABLE totp_factors (
    account_id    bigint PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    secret        bytea NOT NULL,
    last_step     bigint NOT NULL,
    added_at      timestamptz NOT NULL DEFAULT now(),
    wrong_codes   integer NOT NULL DEFAULT 0,
    locked_until  timestamptz
);
COMMENT ON TABLE totp_factors IS 'Codes of an authenticator app (RFC 6238); the secret is encrypted under SECRET_KEY';
COMMENT ON COLUMN totp_factors.wrong_codes IS 'In a row; only who knows the password is asked for a code, and can lock them';
COMMENT ON COLUMN totp_factors.last_step IS 'Time step of the newest code that was used: none is taken twice';

CREATE TABLE recovery_codes (
    account_id  bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    code_hash   bytea NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (account_id, code_hash)
);
COMMENT ON TABLE recovery_codes IS 'Each replaces a code of the authenticator app once';

CREATE TABLE passkeys (
    passkey_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id     bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name           text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    rp_id          text NOT NULL,
    credential_id  bytea NOT NULL UNIQUE,
    public_key     bytea NOT NULL,
    sign_count     bigint NOT NULL,
    added_at       timestamptz NOT NULL DEFAULT now(),
    used_at        timestamptz
);
CREATE INDEX passkeys_by_account ON passkeys (account_id);
COMMENT ON TABLE passkeys IS 'WebAuthn credentials; the private keys never leave the people''s devices';
COMMENT ON COLUMN passkeys.rp_id IS 'The host name that the passkey was made for, and is good for';

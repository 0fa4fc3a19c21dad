-- Whose a profile is, whom it is shared with, and what lets an account in beside its password.
ALTER TABLE accounts ADD COLUMN disabled_at timestamptz;
ALTER TABLE accounts ADD COLUMN logged_out_at timestamptz;
COMMENT ON COLUMN accounts.logged_out_at IS 'Logins made before this moment are over, in every browser';

ALTER TABLE profiles ADD COLUMN owner_id bigint REFERENCES accounts ON DELETE SET NULL;
CREATE INDEX profiles_by_owner ON profiles (owner_id);
COMMENT ON COLUMN profiles.owner_id IS 'The account that made it; nobody''s is seen by admins, and by whom it is shared with';

CREATE TABLE profile_shares (
    user_id     bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    account_id  bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    shared_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, account_id)
);
CREATE INDEX profile_shares_by_account ON profile_shares (account_id);
COMMENT ON TABLE profile_shares IS 'Which other accounts may see a profile; what they may do there is their role''s';

CREATE TABLE api_tokens (
    token_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id    bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name          text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    token_hash    bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz,
    UNIQUE (account_id, name)
);
COMMENT ON TABLE api_tokens IS 'What an account''s programs show to the API: SHA-256 of random tokens that are shown once';

CREATE TABLE account_identities (
    issuer      text NOT NULL CHECK (issuer <> ''),
    subject     text NOT NULL CHECK (subject <> ''),
    account_id  bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    linked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX account_identities_by_account ON account_identities (account_id);
COMMENT ON TABLE account_identities IS 'Who an OpenID Connect provider says somebody is, and the account that this is';

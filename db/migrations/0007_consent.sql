-- Consent: what a person agreed to, when, to which text. A date alone, as before, is the oldest entry of the history.

CREATE TABLE consent_texts (
    version    text PRIMARY KEY CHECK (version <> '' AND length(version) <= 100),
    content    text NOT NULL,
    stored_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE consent_texts IS 'Every text that somebody agreed to, word for word';

CREATE TABLE consents (
    consent_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    scopes        text[] NOT NULL CHECK (scopes <@ ARRAY['recording', 'video', 'shared_models']),
    text_version  text NOT NULL REFERENCES consent_texts,
    agreed_at     timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    recorded_by   text NOT NULL DEFAULT '' CHECK (length(recorded_by) <= 200),
    CHECK (cardinality(scopes) = 0 OR 'recording' = ANY (scopes))
);
CREATE INDEX consents_by_profile ON consents (user_id, consent_id DESC);
COMMENT ON TABLE consents IS 'What a person agrees to from then on; the newest entry of a profile counts, older ones are its history';
COMMENT ON COLUMN consents.scopes IS 'Empty: withdrawn';
COMMENT ON COLUMN consents.agreed_at IS 'When the person said so; recorded_at is when it was entered';

INSERT INTO consent_texts (version, content)
SELECT 'before version 1', 'A date that was entered without a text, for the recording and for bases made of several people.'
WHERE EXISTS (SELECT FROM profiles WHERE consent_at IS NOT NULL);
INSERT INTO consents (user_id, scopes, text_version, agreed_at)
SELECT user_id, ARRAY['recording', 'shared_models'], 'before version 1', consent_at
FROM profiles WHERE consent_at IS NOT NULL ORDER BY user_id;
ALTER TABLE profiles DROP COLUMN consent_at;

-- API tokens are for something, and end. Those that are there keep what they could do, for a year.
ALTER TABLE api_tokens ADD COLUMN scopes text[] NOT NULL DEFAULT '{read,predict,metrics}'
    CONSTRAINT api_tokens_scopes CHECK (cardinality(scopes) >= 1 AND scopes <@ ARRAY['read', 'predict', 'metrics']);
ALTER TABLE api_tokens ALTER COLUMN scopes DROP DEFAULT;
ALTER TABLE api_tokens ADD COLUMN expires_at timestamptz NOT NULL DEFAULT now() + interval '365 days';
ALTER TABLE api_tokens ALTER COLUMN expires_at DROP DEFAULT;
ALTER TABLE api_tokens ADD COLUMN use_recorded_at timestamptz;
COMMENT ON COLUMN api_tokens.scopes IS 'What the token may do of what its account may: read (look and listen), predict, metrics';
COMMENT ON COLUMN api_tokens.use_recorded_at IS 'When its use was written into the audit log last';

-- API tokens may be made for changes. Those that are there were made without: what they may do stays.
ALTER TABLE api_tokens DROP CONSTRAINT api_tokens_scopes;
ALTER TABLE api_tokens ADD CONSTRAINT api_tokens_scopes
    CHECK (cardinality(scopes) >= 1 AND scopes <@ ARRAY['read', 'predict', 'metrics', 'work']);
COMMENT ON COLUMN api_tokens.scopes IS 'What the token may do of what its account may: read (look and listen), predict, metrics, work (train and change)';

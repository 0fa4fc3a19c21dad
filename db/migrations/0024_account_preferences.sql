-- What an account prefers in the app, such as its keyboard shortcuts: a small object, which each part reads its own
-- entry of.
ALTER TABLE accounts ADD COLUMN preferences jsonb NOT NULL DEFAULT '{}'
    CONSTRAINT accounts_preferences CHECK (jsonb_typeof(preferences) = 'object' AND length(preferences::text) <= 8000);
COMMENT ON COLUMN accounts.preferences IS 'How the account likes the app, by part: shortcuts {on, keys}';

-- The numbers of a person's last capture plan, with which the next one begins.
ALTER TABLE profiles ADD COLUMN capture_settings jsonb NOT NULL DEFAULT '{}'
    CHECK (jsonb_typeof(capture_settings) = 'object' AND length(capture_settings::text) <= 1000000);
COMMENT ON COLUMN profiles.capture_settings IS 'The numbers of the last capture plan, with which the next one begins';

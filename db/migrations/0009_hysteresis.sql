-- A decision that begins needs more confidence than one that goes on.

ALTER TABLE profiles ADD COLUMN hysteresis real NOT NULL DEFAULT 0.1 CHECK (hysteresis BETWEEN 0 AND 1);
COMMENT ON COLUMN profiles.hysteresis IS 'How much more a decision that begins needs: part of the way from min_confidence to 1';

-- A gesture is held, or a short dynamic one (a snap, a double tap) that is performed once and recognised as a whole.
ALTER TABLE gestures ADD COLUMN kind text NOT NULL DEFAULT 'held' CHECK (kind IN ('held', 'dynamic'));
ALTER TABLE gestures ADD CHECK (kind = 'held' OR name <> 'rest');
COMMENT ON COLUMN gestures.kind IS 'held: a posture, recognised from window to window; dynamic: performed once, recognised once a performance';

-- Gesture events: what programs act on. They are numbered for each profile, so that who reads them misses none.
ALTER TABLE profiles ADD COLUMN event_times jsonb NOT NULL DEFAULT '{}'
    CHECK (jsonb_typeof(event_times) = 'object' AND length(event_times::text) <= 1000);
COMMENT ON COLUMN profiles.event_times IS 'When decisions become an event, where it differs from the usual: dwell_ms, release_ms, cooldown_ms, min_ms, hold_ms';
ALTER TABLE gestures ADD COLUMN event_times jsonb NOT NULL DEFAULT '{}'
    CHECK (jsonb_typeof(event_times) = 'object' AND length(event_times::text) <= 1000);
COMMENT ON COLUMN gestures.event_times IS 'As in profiles, where this gesture differs from the profile';

CREATE TABLE event_counters (
    user_id  bigint PRIMARY KEY REFERENCES profiles ON DELETE CASCADE,
    last     bigint NOT NULL CHECK (last > 0)
);
COMMENT ON TABLE event_counters IS 'Number of each profile''s newest gesture event; none is used again';

CREATE TABLE gesture_events (
    user_id        bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    sequence       bigint NOT NULL CHECK (sequence > 0),
    kind           text NOT NULL CHECK (kind IN ('press', 'hold', 'release')),
    gesture        text NOT NULL,
    at             timestamptz NOT NULL,
    begun_at       timestamptz NOT NULL,
    pressed_at     timestamptz NOT NULL,
    confidence     real NOT NULL,
    strength       real CHECK (strength BETWEEN 0 AND 1),
    model_version  integer NOT NULL,
    reason         text NOT NULL DEFAULT '',
    PRIMARY KEY (user_id, sequence)
);
CREATE INDEX gesture_events_by_time ON gesture_events (user_id, at);
COMMENT ON TABLE gesture_events IS 'Gestures that were pressed, held and released; of erased ones the numbers are missing';
COMMENT ON COLUMN gesture_events.strength IS '0: as at rest, 1: as strong as in the training; NULL where the model does not know';
COMMENT ON COLUMN gesture_events.reason IS 'Why it was released: let go, signal lost, another model, restarted';

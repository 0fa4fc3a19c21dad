-- Results of measured play: a Fitts' law test and a reaction test.
CREATE TABLE play_results (
    result_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id        bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    kind           text NOT NULL CHECK (kind IN ('fitts', 'reaction')),
    model_version  integer NOT NULL CHECK (model_version >= 1),
    played_at      timestamptz NOT NULL DEFAULT now(),
    simulated      boolean NOT NULL DEFAULT false,
    settings       jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object' AND length(settings::text) <= 20000),
    result         jsonb NOT NULL CHECK (jsonb_typeof(result) = 'object' AND length(result::text) <= 50000),
    raw            jsonb NOT NULL CHECK (jsonb_typeof(raw) = 'object' AND length(raw::text) <= 500000)
);
CREATE INDEX play_results_by_profile ON play_results (user_id, played_at);
COMMENT ON TABLE play_results IS 'Tests that were played by gestures: their figures, and what these were computed from';
COMMENT ON COLUMN play_results.model_version IS 'Of the classifier that decided; it may be gone';
COMMENT ON COLUMN play_results.simulated IS 'Played by a simulated arm: of no person''s muscles';
COMMENT ON COLUMN play_results.raw IS 'Every selection of a Fitts'' law test, every prompt of a reaction test';

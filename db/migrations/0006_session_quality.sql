-- How good the signal of a recorded session was, so that a choice of training data shows it without reading samples.

CREATE TABLE session_quality (
    session_id   bigint PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    level        text NOT NULL CHECK (level IN ('good', 'fair', 'bad')),
    reason       text NOT NULL,
    repetitions  jsonb NOT NULL DEFAULT '{}',
    assessed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE session_quality IS 'How good the signal of a session was, judged by job_runner after its end';
COMMENT ON COLUMN session_quality.repetitions IS 'Level and reason by repetition_id, as its interval was when it was judged';

-- What the pages keep: prompts and phrases of gestures, what channels are for, changes of labels, what a job used,
-- summaries of long recordings, and text senders whose number is no profile's.

ALTER TABLE profiles ADD COLUMN channel_purposes jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN profiles.channel_purposes IS 'What each channel is for, by its name';

ALTER TABLE gestures ADD COLUMN phrase text NOT NULL DEFAULT '' CHECK (length(phrase) <= 200);
COMMENT ON COLUMN gestures.phrase IS 'What the live page shows large and can speak when the gesture is recognised';

CREATE TABLE gesture_prompts (
    gesture_id  bigint PRIMARY KEY REFERENCES gestures ON DELETE CASCADE,
    media_type  text NOT NULL CHECK (media_type IN ('image/png', 'image/jpeg', 'image/gif', 'image/webp', 'video/mp4',
                                                    'video/webm')),
    content     bytea NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 8388608),
    changed_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE gesture_prompts ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE gesture_prompts IS 'A picture or a short video that shows how a gesture is performed';

CREATE TABLE repetition_changes (
    change_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id     bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
    repetition_id  bigint NOT NULL,
    changed_at     timestamptz NOT NULL DEFAULT now(),
    changed_by     text NOT NULL DEFAULT '',
    before         jsonb NOT NULL,
    after          jsonb
);
CREATE INDEX repetition_changes_by_session ON repetition_changes (session_id, changed_at);
COMMENT ON TABLE repetition_changes IS 'Every label that was moved, renamed, left out, taken in or deleted afterwards';

ALTER TABLE jobs ADD COLUMN used jsonb;
COMMENT ON COLUMN jobs.used IS 'The repetitions as they were when the training read them; later changes do not touch it';

CREATE TABLE sample_summaries (
    user_id     bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    session_id  bigint NOT NULL,
    started_at  timestamptz NOT NULL,
    n_channels  integer NOT NULL,
    rate_hz     double precision NOT NULL,
    n_rows      integer NOT NULL,
    n_samples   bigint NOT NULL,
    content     bytea NOT NULL,
    PRIMARY KEY (user_id, session_id, started_at, n_channels)
);
ALTER TABLE sample_summaries ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE sample_summaries IS 'Lowest, highest, mean and variance of a minute of samples in bins; made when needed, stale when rows and samples differ';
COMMENT ON COLUMN sample_summaries.session_id IS 'Of imported samples; 0 for live ones';

CREATE TABLE text_senders (
    number       bigint PRIMARY KEY CHECK (number BETWEEN 0 AND 9223372036854775807),
    user_id      bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    assigned_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX text_senders_by_profile ON text_senders (user_id);
COMMENT ON TABLE text_senders IS 'Numbers in text datagrams (v1) that are no profile''s, and the profile that they are stored for';

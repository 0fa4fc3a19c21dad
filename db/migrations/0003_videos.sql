-- Webcam recordings: the file lies in VIDEO_DIR, what is known about it here.

CREATE TABLE videos (
    session_id      bigint PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    status          text NOT NULL DEFAULT 'recording' CHECK (status IN ('recording', 'ready', 'failed')),
    problem         text NOT NULL DEFAULT '',
    seen_at         timestamptz DEFAULT now(),
    started_at      timestamptz,
    ended_at        timestamptz CHECK (ended_at >= started_at),
    frames          integer NOT NULL DEFAULT 0 CHECK (frames >= 0),
    bytes           bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    width           integer,
    height          integer,
    time_error_us   integer,
    CHECK (status <> 'ready' OR (started_at IS NOT NULL AND ended_at IS NOT NULL AND width > 0 AND height > 0))
);
COMMENT ON TABLE videos IS 'The webcam video of a session; the file and the time of each frame are in VIDEO_DIR';
COMMENT ON COLUMN videos.seen_at IS 'Last sign of life of whoever records; empty when nobody does';
COMMENT ON COLUMN videos.started_at IS 'Server time of the first frame, which is at 0 s of the file';
COMMENT ON COLUMN videos.time_error_us IS 'How far the frames'' times may be off; empty: the browser told too little of its clock';

CREATE TABLE erased_videos (
    session_id  bigint PRIMARY KEY,
    erased_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erased_videos IS 'Videos whose row is gone and whose files are still to be removed';

CREATE FUNCTION remember_erased_video() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
    INSERT INTO erased_videos (session_id) VALUES (OLD.session_id) ON CONFLICT (session_id) DO NOTHING;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION remember_erased_video IS 'However a video''s row is deleted, its files are removed after the commit';
CREATE TRIGGER videos_erased AFTER DELETE ON videos FOR EACH ROW EXECUTE FUNCTION remember_erased_video();

-- Seconds of the live stream that were labelled on the page Live: samples as of a capture, and no plan.
ALTER TABLE sessions DROP CONSTRAINT sessions_origin_check;
ALTER TABLE sessions ADD CONSTRAINT sessions_origin_check CHECK (origin IN ('capture', 'import', 'taught'));

CREATE OR REPLACE FUNCTION expire_sample_partition(partition regclass, keep_sessions boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    day date := to_date(substring(partition::text FROM 'sample_blocks_(\d{8})$'), 'YYYYMMDD');
    n_kept bigint;
    n_stored bigint;
BEGIN
    IF day IS NULL OR NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = partition AND inhparent = 'sample_blocks'::regclass) THEN
        RAISE EXCEPTION '% is no day of sample_blocks', partition;
    END IF;
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', partition);
    EXECUTE format($q$
        CREATE TEMP TABLE kept_blocks ON COMMIT DROP AS SELECT * FROM %1$s WHERE $1 AND ctid IN (
            SELECT b.ctid FROM sessions s JOIN %1$s b
            ON b.user_id = s.user_id AND b.session_id IS NULL
               AND b.started_at >= s.started_at - interval '1 second'
               AND b.started_at < coalesce(s.ended_at, 'infinity')
            WHERE s.origin <> 'import' AND (s.status = 'recording' OR EXISTS (
                SELECT FROM repetitions r WHERE r.session_id = s.session_id))
            UNION ALL
            SELECT b.ctid FROM sessions s JOIN %1$s b USING (session_id))
        $q$, partition) USING keep_sessions;
    SELECT count(*) INTO n_kept FROM kept_blocks;
    EXECUTE format('SELECT count(*) FROM %s', partition) INTO n_stored;
    IF n_kept < n_stored OR n_stored = 0 THEN
        EXECUTE format('DROP TABLE %s', partition);
        DELETE FROM sample_summaries
        WHERE started_at >= day::timestamp AT TIME ZONE 'UTC' AND started_at < (day + 1)::timestamp AT TIME ZONE 'UTC';
        IF n_kept > 0 THEN
            PERFORM ensure_sample_partition(day);
            INSERT INTO sample_blocks SELECT * FROM kept_blocks;
        END IF;
    END IF;
    DROP TABLE kept_blocks;
    RETURN n_kept < n_stored OR n_stored = 0;
END
$$;

-- Old samples lie in a partition for each month: a query of all time plans and locks every partition, and a file of a
-- few kilobytes could make a week of them.
CREATE FUNCTION make_sample_partition(partition text, since date, until date) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    -- Rows of up to a page stay in the table: chunks of 2 kB beside it cost twice the CPU.
    EXECUTE format(
        'CREATE TABLE %I PARTITION OF sample_blocks FOR VALUES FROM (%L) TO (%L) WITH (toast_tuple_target = 8160)',
        partition, since::timestamp AT TIME ZONE 'UTC', until::timestamp AT TIME ZONE 'UTC');
END
$$;
COMMENT ON FUNCTION make_sample_partition IS 'Makes a partition from a day (UTC) to before another; only as the owner of the tables';

CREATE OR REPLACE FUNCTION ensure_sample_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition text := 'sample_blocks_' || to_char(day, 'YYYYMMDD');
    month text := 'sample_blocks_' || to_char(day, 'YYYYMM');
BEGIN
    -- Whoever removes a partition waits until what is written now is there.
    PERFORM pg_advisory_xact_lock_shared(hashtext('gone ' || partition));
    PERFORM pg_advisory_xact_lock_shared(hashtext('gone ' || month));
    IF to_regclass(partition) IS NOT NULL OR to_regclass(month) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext(month));
    IF to_regclass(partition) IS NULL AND to_regclass(month) IS NULL THEN
        PERFORM make_sample_partition(partition, day, day + 1);
    END IF;
END
$$;
COMMENT ON FUNCTION ensure_sample_partition IS 'Makes the partition of a day (UTC) unless its month is one; retention drops such partitions';

CREATE FUNCTION ensure_import_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    since date := date_trunc('month', day)::date;
    month text := 'sample_blocks_' || to_char(day, 'YYYYMM');
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('gone ' || month));
    IF to_regclass(month) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext(month));
    IF to_regclass(month) IS NULL AND day < (now() AT TIME ZONE 'UTC')::date - 62 AND NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE i.inhparent = 'sample_blocks'::regclass AND c.relname ~ ('^' || month || '\d\d$')) THEN
        PERFORM make_sample_partition(month, since, (since + interval '1 month')::date);
    END IF;
    PERFORM ensure_sample_partition(day);
END
$$;
COMMENT ON FUNCTION ensure_import_partition IS 'Makes the partition of a day (UTC) of an import: of the whole month, if nothing of it is stored and it is over';

CREATE OR REPLACE FUNCTION expire_sample_partition(partition regclass, keep_sessions boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    number text := substring(partition::text FROM 'sample_blocks_(\d{6}(?:\d{2})?)$');
    day date := to_date(rpad(number, 8, '01'), 'YYYYMMDD');
    until date := CASE length(number) WHEN 8 THEN day + 1 ELSE (day + interval '1 month')::date END;
    n_kept bigint;
    n_stored bigint;
BEGIN
    IF day IS NULL OR NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = partition AND inhparent = 'sample_blocks'::regclass) THEN
        RAISE EXCEPTION '% is no day of sample_blocks', partition;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('gone sample_blocks_' || number));
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
        WHERE started_at >= day::timestamp AT TIME ZONE 'UTC' AND started_at < until::timestamp AT TIME ZONE 'UTC';
        IF n_kept > 0 THEN
            PERFORM make_sample_partition('sample_blocks_' || number, day, until);
            INSERT INTO sample_blocks SELECT * FROM kept_blocks;
        END IF;
    END IF;
    DROP TABLE kept_blocks;
    RETURN n_kept < n_stored OR n_stored = 0;
END
$$;
COMMENT ON FUNCTION expire_sample_partition IS 'Drops a day or a month; with keep_sessions, blocks of labelled and of imported sessions stay. Tells whether anything went';

CREATE FUNCTION drop_empty_sample_partition(partition regclass) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    number text := substring(partition::text FROM 'sample_blocks_(\d{6}(?:\d{2})?)$');
    filled boolean;
BEGIN
    IF number IS NULL OR NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = partition AND inhparent = 'sample_blocks'::regclass) THEN
        RAISE EXCEPTION '% is no day of sample_blocks', partition;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', partition) INTO filled;
    IF filled THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('gone sample_blocks_' || number));
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', partition);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', partition) INTO filled;
    IF NOT filled THEN
        EXECUTE format('DROP TABLE %s', partition);
    END IF;
    RETURN NOT filled;
END
$$;
COMMENT ON FUNCTION drop_empty_sample_partition IS 'Drops a day or a month of which nothing is stored any more, and tells whether it was so';

CREATE FUNCTION merge_sample_month(month date, most_bytes bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    since date := date_trunc('month', month)::date;
    until date := (since + interval '1 month')::date;
    whole text := 'sample_blocks_' || to_char(month, 'YYYYMM');
    bounds text := format('started_at >= %L AND started_at < %L',
                          since::timestamp AT TIME ZONE 'UTC', until::timestamp AT TIME ZONE 'UTC');
    days text[];
    day text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(whole));
    SELECT array_agg(c.relname::text ORDER BY c.relname) INTO days
    FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE i.inhparent = 'sample_blocks'::regclass AND c.relname ~ ('^' || whole || '\d\d$');
    IF days IS NULL OR to_regclass(whole) IS NOT NULL
       OR (SELECT sum(pg_total_relation_size(one.name::regclass)) FROM unnest(days) AS one (name)) > most_bytes THEN
        RETURN false;
    END IF;
    FOREACH day IN ARRAY days LOOP
        PERFORM pg_advisory_xact_lock(hashtext('gone ' || day));
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', day);
    END LOOP;
    EXECUTE format('CREATE TABLE %I (LIKE sample_blocks INCLUDING ALL) WITH (toast_tuple_target = 8160)', whole);
    FOREACH day IN ARRAY days LOOP
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', whole, day);
    END LOOP;
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT sample_blocks_month CHECK (%s)', whole, bounds);
    -- From here on everybody waits, so there is little to do.
    FOREACH day IN ARRAY days LOOP
        EXECUTE format('DROP TABLE %I', day);
    END LOOP;
    EXECUTE format('ALTER TABLE sample_blocks ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   whole, since::timestamp AT TIME ZONE 'UTC', until::timestamp AT TIME ZONE 'UTC');
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT sample_blocks_month', whole);
    RETURN true;
END
$$;
COMMENT ON FUNCTION merge_sample_month IS 'Makes one partition of the days of a month, unless they are larger; tells whether it did';

-- Who asked for a training: accounts take turns.
ALTER TABLE jobs ADD COLUMN requested_by bigint REFERENCES accounts ON DELETE SET NULL;
COMMENT ON COLUMN jobs.requested_by IS 'The account that queued it; accounts take turns, and a disabled one''s jobs wait';
CREATE INDEX jobs_by_account ON jobs (requested_by) WHERE requested_by IS NOT NULL;

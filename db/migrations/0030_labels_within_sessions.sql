-- A label lies within its session, of one that runs within a day from its start: the platform's clock may be another
-- than this server's. What is there already stays until an edge is moved.
CREATE FUNCTION require_label_within_session() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    since timestamptz;
    until timestamptz;
BEGIN
    SELECT started_at, coalesce(ended_at, started_at + interval '1 day') INTO since, until
    FROM sessions WHERE session_id = NEW.session_id;
    IF NEW.started_at < since OR NEW.ended_at > until THEN
        RAISE EXCEPTION 'a label of session % lies outside of it', NEW.session_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION require_label_within_session IS 'Refuses a label with an edge outside its session, of one that runs a day after its start';

CREATE CONSTRAINT TRIGGER label_within_session AFTER INSERT OR UPDATE OF session_id, started_at, ended_at ON repetitions
FOR EACH ROW EXECUTE FUNCTION require_label_within_session();

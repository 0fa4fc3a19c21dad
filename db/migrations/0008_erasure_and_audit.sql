-- Erasure of single sessions that the journal cannot bring back, people to be taken out of bases, and who did what.

CREATE TABLE erased_spans (
    user_id     bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL CHECK (ended_at >= started_at),
    erased_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_spans_by_profile ON erased_spans (user_id);
COMMENT ON TABLE erased_spans IS 'Times of erased captures: what the journal still holds of them is not stored again';

CREATE TABLE erased_from_bases (
    user_id    bigint PRIMARY KEY,
    erased_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erased_from_bases IS 'People who are to be taken out of the bases that lie in DATA_DIR/bases';

CREATE TABLE audit_entries (
    entry_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    account_id  bigint,
    service     text NOT NULL DEFAULT '' CHECK (length(service) <= 50),
    action      text NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
    user_id     bigint,
    session_id  bigint,
    counts      jsonb NOT NULL DEFAULT '{}',
    CHECK ((account_id IS NULL) <> (service = ''))
);
CREATE INDEX audit_entries_by_time ON audit_entries (at);
CREATE INDEX audit_entries_by_profile ON audit_entries (user_id, at);
COMMENT ON TABLE audit_entries IS 'Who saw, exported, changed and erased what: numbers only, added and never changed; outlives what it tells of';
COMMENT ON COLUMN audit_entries.account_id IS 'Who; empty when a service or a program with a token did it, which service names';

CREATE FUNCTION refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('semg.expires_audit', true) = 'on' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'entries of the audit log are neither changed nor deleted';
END
$$;
CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON audit_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

CREATE FUNCTION expire_audit(before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public SET semg.expires_audit = 'on' AS $$
DECLARE
    gone bigint;
BEGIN
    IF before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'entries of the audit log are kept for 30 days at least';
    END IF;
    DELETE FROM audit_entries WHERE at < before;
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END
$$;
COMMENT ON FUNCTION expire_audit IS 'The only way to remove entries: old ones, by their age';

-- Entries of the audit log are added by a function of the owner only, and each carries the hash of all before it.
ALTER TABLE audit_entries ADD COLUMN number bigint UNIQUE CHECK (number >= 1);
ALTER TABLE audit_entries ADD COLUMN hash bytea CHECK (octet_length(hash) = 32);
ALTER TABLE audit_entries ADD CONSTRAINT audit_entries_chained CHECK ((number IS NULL) = (hash IS NULL));
COMMENT ON COLUMN audit_entries.number IS 'Position in the chain, in the order of commits and without a gap; given when the entry is committed';
COMMENT ON COLUMN audit_entries.hash IS 'SHA-256 of the entry and of the hash before it (audit_hash)';

CREATE TABLE audit_chain (
    only_row       boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    anchor_number  bigint NOT NULL DEFAULT 0,
    anchor_hash    bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(anchor_hash) = 32),
    head_number    bigint NOT NULL DEFAULT 0 CHECK (head_number >= anchor_number),
    head_hash      bytea NOT NULL DEFAULT decode(repeat('00', 32), 'hex') CHECK (octet_length(head_hash) = 32)
);
COMMENT ON TABLE audit_chain IS 'Where the chain of the audit log begins (the last entry that expired) and ends; written by the owner''s functions';

CREATE FUNCTION audit_hash(previous bytea, entry audit_entries) RETURNS bytea
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT sha256(convert_to(jsonb_build_array(
        encode(previous, 'hex'), entry.number, to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        entry.account_id, entry.service, entry.action, entry.user_id, entry.session_id, entry.counts)::text, 'UTF8'))
$$;
COMMENT ON FUNCTION audit_hash IS 'SHA-256 of a JSON array; semg/security/audit_chain.py computes the same';

CREATE FUNCTION record_audit(who text, by_service text, what text, of_user bigint, of_session bigint, numbers jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    known bigint;
BEGIN
    IF EXISTS (SELECT FROM jsonb_each(numbers)
               WHERE jsonb_typeof(value) <> 'number' OR value::text !~ '^-?[0-9]{1,40}$'
                  OR key !~ '^[a-z][a-z0-9_]{0,49}$') THEN
        RAISE EXCEPTION 'an entry of the audit log holds whole numbers only';
    END IF;
    IF by_service <> '' AND by_service !~ '^[A-Za-z][A-Za-z0-9_ .-]*$' THEN
        RAISE EXCEPTION 'expected the name of a service in an entry of the audit log';
    END IF;
    SELECT account_id INTO known FROM accounts WHERE login = who;
    INSERT INTO audit_entries (account_id, service, action, user_id, session_id, counts)
    VALUES (known, CASE WHEN known IS NULL THEN coalesce(nullif(by_service, ''), 'unknown account') ELSE '' END,
            what, of_user, of_session, numbers);
END
$$;
COMMENT ON FUNCTION record_audit IS 'The only way to add an entry: the services cannot choose its time, number or hash';

CREATE FUNCTION chain_audit() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET semg.expires_audit = 'chain' AS $$
DECLARE
    chain audit_chain;
    entry audit_entries := NEW;
BEGIN
    INSERT INTO audit_chain DEFAULT VALUES ON CONFLICT DO NOTHING;
    SELECT * INTO chain FROM audit_chain FOR UPDATE;
    entry.number := chain.head_number + 1;
    entry.hash := audit_hash(chain.head_hash, entry);
    UPDATE audit_entries SET number = entry.number, hash = entry.hash WHERE entry_id = entry.entry_id;
    UPDATE audit_chain SET head_number = entry.number, head_hash = entry.hash;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION chain_audit IS 'Runs when a transaction commits and holds all its other locks: waiting here for the chain''s row closes no circle';

CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
    IF TG_OP = 'DELETE' AND current_setting('semg.expires_audit', true) = 'on' THEN
        RETURN OLD;
    END IF;
    IF TG_OP = 'UPDATE' AND current_setting('semg.expires_audit', true) = 'chain' THEN
        IF OLD.number IS NULL THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'entries of the audit log are neither changed nor deleted';
END
$$;

CREATE OR REPLACE FUNCTION expire_audit(before timestamptz) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET semg.expires_audit = 'on' AS $$
DECLARE
    newest audit_entries;
    gone bigint;
BEGIN
    IF before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'entries of the audit log are kept for 30 days at least';
    END IF;
    -- Entries go from the beginning of the chain, up to the first that is young enough to stay.
    SELECT * INTO newest FROM audit_entries
    WHERE number < coalesce((SELECT number FROM audit_entries WHERE at >= before ORDER BY number LIMIT 1),
                            9223372036854775807)
    ORDER BY number DESC LIMIT 1;
    DELETE FROM audit_entries WHERE number <= newest.number;
    GET DIAGNOSTICS gone = ROW_COUNT;
    IF gone > 0 THEN
        UPDATE audit_chain SET anchor_number = newest.number, anchor_hash = newest.hash;
    END IF;
    RETURN gone;
END
$$;
COMMENT ON FUNCTION expire_audit IS 'The only way to remove entries: old ones, by their age; the chain begins after them then';

-- What is there already becomes the beginning of the chain, in the order of its time.
DO $$
DECLARE
    chain audit_chain;
    entry audit_entries;
BEGIN
    PERFORM set_config('semg.expires_audit', 'chain', true);
    FOR entry IN SELECT * FROM audit_entries ORDER BY at, entry_id LOOP
        INSERT INTO audit_chain DEFAULT VALUES ON CONFLICT DO NOTHING;
        SELECT * INTO chain FROM audit_chain;
        entry.number := chain.head_number + 1;
        entry.hash := audit_hash(chain.head_hash, entry);
        UPDATE audit_entries SET number = entry.number, hash = entry.hash WHERE entry_id = entry.entry_id;
        UPDATE audit_chain SET head_number = entry.number, head_hash = entry.hash;
    END LOOP;
    PERFORM set_config('semg.expires_audit', '', true);
END
$$;

CREATE CONSTRAINT TRIGGER audit_chained AFTER INSERT ON audit_entries DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.number IS NULL) EXECUTE FUNCTION chain_audit();

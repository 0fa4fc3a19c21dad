-- What the services' role may do: read and write rows, nothing else. The start runs this as the tables' owner after
-- every migration; by hand:  psql -U owner -d sensordb -c "SET semg.service_role = 'semg'" -f db/grants.sql
-- Tables change by the functions that belong to the owner only (ensure_sample_partition, expire_sample_partition and the like);
-- entries of the audit log come by record_audit and go by expire_audit only.

DO $$
DECLARE
    service text := current_setting('semg.service_role');
BEGIN
    IF (SELECT pg_has_role(current_user, datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) THEN
        EXECUTE format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), service);
    END IF;
    IF (SELECT pg_has_role(current_user, nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'public') THEN
        EXECUTE format('REVOKE CREATE ON SCHEMA public FROM PUBLIC, %I', service);
        EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', service);
    END IF;
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA public FROM %I', service);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO %I', service);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON schema_migrations FROM %I', service);
    EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON audit_entries, audit_chain FROM %I', service);
    EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO %I', service);
    REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO %I', service);
    -- Days that are made later.
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I',
                   service);
END
$$;

-- The roles of the embedded cluster: an owner of the database and the services, neither of them a superuser. Run by the
-- start in the single-user mode, as the cluster's superuser (number 10), while no server runs; one transaction.
-- The settings semg.owner, semg.owner_password, semg.service and semg.service_password (both empty: no service role) come
-- before it. A statement ends with a semicolon and an empty line, as that mode wants it.

BEGIN;

DROP ROLE IF EXISTS semg_upgrade;

CREATE ROLE semg_upgrade SUPERUSER NOLOGIN;

-- Nobody can rename the role that they are.
SET SESSION AUTHORIZATION semg_upgrade;

DO $$
BEGIN
    IF (SELECT rolname FROM pg_roles WHERE oid = 10) <> 'semg_bootstrap' THEN
        EXECUTE format('ALTER ROLE %I RENAME TO semg_bootstrap', (SELECT rolname FROM pg_roles WHERE oid = 10));
    END IF;
END
$$;

SET SESSION AUTHORIZATION semg_bootstrap;

DROP ROLE semg_upgrade;

-- CREATEDB: a restore reads into a database of its own. pg_signal_backend: and ends who is connected to one that goes.
-- semg.expires_audit: only who may set a parameter that the server does not know can make a function that sets it.
DO $$
DECLARE
    plain CONSTANT text := 'NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN';
    owner CONSTANT text := current_setting('semg.owner');
    service CONSTANT text := current_setting('semg.service');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = owner) THEN
        EXECUTE format('CREATE ROLE %I', owner);
    END IF;
    EXECUTE format('ALTER ROLE %I %s CREATEDB PASSWORD %L', owner, plain, current_setting('semg.owner_password'));
    EXECUTE format('GRANT pg_signal_backend TO %I', owner);
    EXECUTE format('GRANT SET ON PARAMETER semg.expires_audit TO %I', owner);
    IF service <> '' THEN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = service) THEN
            EXECUTE format('CREATE ROLE %I', service);
        END IF;
        EXECUTE format('ALTER ROLE %I %s NOCREATEDB PASSWORD %L', service, plain,
                       current_setting('semg.service_password'));
    END IF;
END
$$;

ALTER ROLE semg_bootstrap NOLOGIN PASSWORD NULL;

COMMIT;


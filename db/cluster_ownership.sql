-- Gives a database, and all in it that the cluster's superuser (number 10) made, to the owner: for embedded clusters of
-- earlier versions, whose owner was that superuser. Run like cluster_roles.sql; the setting semg.owner comes before it.

BEGIN;

-- A sequence of a column goes with its table.
DO $$
DECLARE
    owner CONSTANT text := current_setting('semg.owner');
    one record;
BEGIN
    FOR one IN
        WITH ours AS (
            SELECT oid, nspname, nspowner FROM pg_namespace
            WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        )
        SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, owner) AS change
        FROM pg_class c JOIN ours ON ours.oid = c.relnamespace
        WHERE c.relowner = 10 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
          AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                          AND c.relkind = 'S' AND d.deptype IN ('a', 'i'))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, owner)
        FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace WHERE p.proowner = 10
        UNION ALL
        SELECT format('ALTER TYPE %s OWNER TO %I', t.oid::regtype, owner)
        FROM pg_type t JOIN ours ON ours.oid = t.typnamespace WHERE t.typowner = 10 AND t.typtype IN ('e', 'd')
        UNION ALL
        SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, owner)
        FROM ours WHERE nspowner = 10 AND nspname <> 'public'
    LOOP
        EXECUTE one.change;
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), owner);
END
$$;

COMMIT;


-- Functions that run with their owner's rights look into temporary tables last: a caller's own cannot stand in.
ALTER FUNCTION ensure_sample_partition(date) SET search_path = public, pg_temp;
ALTER FUNCTION expire_sample_partition(regclass, boolean) SET search_path = public, pg_temp;
ALTER FUNCTION remember_erased_video() SET search_path = public, pg_temp;
ALTER FUNCTION expire_audit(timestamptz) SET search_path = public, pg_temp;

-- How far a board's newest start was seen, so that a restarted server does not take it again.
ALTER TABLE boards ADD COLUMN last_device_us bigint NOT NULL DEFAULT -1;
COMMENT ON COLUMN boards.last_device_us IS 'Device time of the newest datagram of that start; what is not later is a replay';

-- Text that anybody can forge is taken from those profiles only that are told to.
ALTER TABLE devices ALTER COLUMN allow_v1 SET DEFAULT false;

-- A board that is set aside for a simulated arm stays its profile's: no other arm's, and with the key that it had.
ALTER TABLE simulated_arms ADD COLUMN former_key_made_at timestamptz;
ALTER TABLE simulated_arms ADD COLUMN started_by bigint REFERENCES accounts ON DELETE SET NULL;

UPDATE simulated_arms a SET former_board_id = NULL
WHERE EXISTS (SELECT FROM boards b WHERE b.board_id = a.former_board_id AND b.user_id IS NOT NULL)
   OR EXISTS (SELECT FROM simulated_arms o
              WHERE o.former_board_id = a.former_board_id AND (o.since, o.user_id) > (a.since, a.user_id));
-- A key that was made since is not known to be the profile's own doing: such a board is not given back.
UPDATE simulated_arms a SET former_key_made_at = b.key_made_at
FROM boards b WHERE b.board_id = a.former_board_id AND b.key_made_at <= a.since;

DROP INDEX simulated_arms_by_former_board;
ALTER TABLE simulated_arms ADD UNIQUE (former_board_id);
CREATE INDEX simulated_arms_by_account ON simulated_arms (started_by) WHERE started_by IS NOT NULL;
COMMENT ON COLUMN simulated_arms.former_board_id IS 'What sent for the profile before: set aside, the profile''s all the same; it sends again when the arm stops';
COMMENT ON COLUMN simulated_arms.former_key_made_at IS 'When the key was made that the former board had then; with another key it is not given back';
COMMENT ON COLUMN simulated_arms.started_by IS 'The account that started it; each may have a few';

-- Boards were named after the profile that they were made for, and their names show where they are nobody's.
UPDATE boards b SET name = 'Board ' || b.board_id FROM profiles p WHERE lower(b.name) = lower(p.name) AND NOT b.simulated;

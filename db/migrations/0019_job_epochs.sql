-- The course of a training by epoch, which was read out of the sentences of its log. Trainings from before have their
-- log only.
ALTER TABLE jobs ADD COLUMN epoch_points jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(epoch_points) = 'array');
COMMENT ON COLUMN jobs.epoch_points IS 'The newest epochs of its networks: what, epoch, epochs, loss, held_out_error';

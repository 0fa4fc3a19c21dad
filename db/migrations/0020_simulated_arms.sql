-- Simulated arms: a virtual wearer in place of a device. What it sends is marked wherever it is kept.
ALTER TABLE boards ADD COLUMN simulated boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN boards.simulated IS 'Made for a simulated arm, and removed with it';
ALTER TABLE sessions ADD COLUMN simulated boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN sessions.simulated IS 'Recorded from a simulated arm: of no person''s muscles';

CREATE TABLE simulated_arms (
    user_id          bigint PRIMARY KEY REFERENCES profiles ON DELETE CASCADE,
    board_id         bigint NOT NULL UNIQUE REFERENCES boards ON DELETE CASCADE,
    former_board_id  bigint REFERENCES boards ON DELETE SET NULL,
    seed             integer NOT NULL CHECK (seed >= 0),
    since            timestamptz NOT NULL DEFAULT now(),
    used_at          timestamptz NOT NULL DEFAULT now(),
    gesture          text CHECK (gesture <> '' AND length(gesture) <= 200),
    strength         double precision NOT NULL DEFAULT 1 CHECK (strength BETWEEN 0.2 AND 2),
    rotation         double precision NOT NULL DEFAULT 0 CHECK (rotation BETWEEN -2 AND 2),
    loose_channel    smallint CHECK (loose_channel BETWEEN 0 AND 15),
    loose_flat       boolean NOT NULL DEFAULT false,
    hum              double precision NOT NULL DEFAULT 0 CHECK (hum BETWEEN 0 AND 1),
    loss             double precision NOT NULL DEFAULT 0 CHECK (loss BETWEEN 0 AND 0.5),
    fatigue          double precision NOT NULL DEFAULT 0.3 CHECK (fatigue BETWEEN 0 AND 1),
    mistakes         double precision NOT NULL DEFAULT 0.02 CHECK (mistakes BETWEEN 0 AND 0.5)
);
CREATE INDEX simulated_arms_by_former_board ON simulated_arms (former_board_id);
COMMENT ON TABLE simulated_arms IS 'Virtual wearers that the service simulator sends for, and how they are steered';
COMMENT ON COLUMN simulated_arms.former_board_id IS 'What sent for the profile before; it does so again when the arm stops';
COMMENT ON COLUMN simulated_arms.used_at IS 'When somebody last recorded with it, looked at it or steered it; it stops by itself some hours later';
COMMENT ON COLUMN simulated_arms.gesture IS 'What it performs when no plan runs; null: rest';
COMMENT ON COLUMN simulated_arms.rotation IS 'Of the band, in distances between two electrodes';
COMMENT ON COLUMN simulated_arms.loose_channel IS 'Index of an electrode without contact; loose_flat: it shows nothing in place of noise';
COMMENT ON COLUMN simulated_arms.hum IS 'Of the power line, as a share of the strongest';
COMMENT ON COLUMN simulated_arms.loss IS 'Share of the datagrams that get lost';
COMMENT ON COLUMN simulated_arms.mistakes IS 'Share of the prompts that are performed wrongly';

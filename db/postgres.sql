-- The current schema. On an empty database:  psql -U semg -d sensordb -f db/postgres.sql
-- A change here comes with a numbered file in db/migrations/ and its number below; a test proves both give the same.

BEGIN;

CREATE TABLE schema_migrations (
    number      integer PRIMARY KEY,
    applied_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE schema_migrations IS 'Which files of db/migrations this database already contains';

-- People and their devices ------------------------------------------------------------------------------------------

CREATE TABLE accounts (
    account_id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login                text NOT NULL UNIQUE CHECK (login <> ''),
    password_hash        text NOT NULL,
    role                 text NOT NULL DEFAULT 'admin' CHECK (role IN ('admin', 'researcher', 'viewer')),
    created_at           timestamptz NOT NULL DEFAULT now(),
    password_changed_at  timestamptz NOT NULL DEFAULT now(),
    failed_logins        integer NOT NULL DEFAULT 0,
    locked_until         timestamptz,
    disabled_at          timestamptz,
    preferences          jsonb NOT NULL DEFAULT '{}' CONSTRAINT accounts_preferences
                         CHECK (jsonb_typeof(preferences) = 'object' AND length(preferences::text) <= 8000)
);
COMMENT ON COLUMN accounts.preferences IS 'How the account likes the app, by part: shortcuts {on, keys}';
COMMENT ON TABLE accounts IS 'Who logs in; argon2id hashes';

CREATE TABLE profiles (
    user_id          bigint GENERATED ALWAYS AS IDENTITY (START WITH 21) PRIMARY KEY,
    name             text NOT NULL UNIQUE CHECK (name <> '' AND length(name) <= 200),
    handedness       text CHECK (handedness IN ('left', 'right', 'both')),
    notes            text NOT NULL DEFAULT '',
    channels_used    text[] CHECK (cardinality(channels_used) BETWEEN 1 AND 16),
    vote_n           integer NOT NULL DEFAULT 3 CHECK (vote_n BETWEEN 1 AND 99),
    min_confidence   real NOT NULL DEFAULT 0.4 CHECK (min_confidence BETWEEN 0 AND 1),
    last_model_version  integer NOT NULL DEFAULT 0,
    created_at       timestamptz NOT NULL DEFAULT now(),
    channel_purposes jsonb NOT NULL DEFAULT '{}',
    hysteresis       real NOT NULL DEFAULT 0.1 CHECK (hysteresis BETWEEN 0 AND 1),
    owner_id         bigint REFERENCES accounts ON DELETE SET NULL,
    language         text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'de', 'es')),
    capture_settings jsonb NOT NULL DEFAULT '{}'
        CHECK (jsonb_typeof(capture_settings) = 'object' AND length(capture_settings::text) <= 1000000),
    event_times      jsonb NOT NULL DEFAULT '{}'
        CHECK (jsonb_typeof(event_times) = 'object' AND length(event_times::text) <= 1000)
);
CREATE INDEX profiles_by_owner ON profiles (owner_id);
COMMENT ON COLUMN profiles.hysteresis IS 'How much more a decision that begins needs: part of the way from min_confidence to 1';
COMMENT ON COLUMN profiles.owner_id IS 'The account that made it; nobody''s is seen by admins, and by whom it is shared with';
COMMENT ON COLUMN profiles.language IS 'Of what the participant reads: ISO 639-1';
COMMENT ON COLUMN profiles.event_times IS 'When decisions become an event, where it differs from the usual: dwell_ms, release_ms, cooldown_ms, min_ms, hold_ms';
COMMENT ON COLUMN profiles.capture_settings IS 'The numbers of the last capture plan, with which the next one begins';
COMMENT ON COLUMN profiles.channel_purposes IS 'What each channel is for, by its name';
COMMENT ON COLUMN profiles.last_model_version IS 'Newest version ever made; a deleted model''s number is not used again';
COMMENT ON TABLE profiles IS 'Whose muscles are recorded; numbers start with the sketch''s default and are never used again';

CREATE TABLE profile_shares (
    user_id     bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    account_id  bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    shared_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, account_id)
);
CREATE INDEX profile_shares_by_account ON profile_shares (account_id);
COMMENT ON TABLE profile_shares IS 'Which other accounts may see a profile; what they may do there is their role''s';

CREATE TABLE api_tokens (
    token_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id    bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name          text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    token_hash    bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz,
    scopes        text[] NOT NULL
                  CONSTRAINT api_tokens_scopes CHECK (cardinality(scopes) >= 1 AND scopes <@ ARRAY['read', 'predict', 'metrics', 'work']),
    expires_at    timestamptz NOT NULL,
    use_recorded_at  timestamptz,
    UNIQUE (account_id, name)
);
COMMENT ON COLUMN api_tokens.scopes IS 'What the token may do of what its account may: read (look and listen), predict, metrics, work (train and change)';
COMMENT ON COLUMN api_tokens.use_recorded_at IS 'When its use was written into the audit log last';
COMMENT ON TABLE api_tokens IS 'What an account''s programs show to the API: SHA-256 of random tokens that are shown once';

CREATE TABLE import_layouts (
    account_id   bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    fingerprint  text NOT NULL CHECK (length(fingerprint) = 64),
    layout       jsonb NOT NULL,
    used_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (account_id, fingerprint)
);
COMMENT ON TABLE import_layouts IS 'How an account reads files with certain columns, as it said when it imported one';
COMMENT ON COLUMN import_layouts.fingerprint IS 'SHA-256 of the separator, the decimal sign and the columns, in hexadecimal';

CREATE TABLE account_identities (
    issuer      text NOT NULL CHECK (issuer <> ''),
    subject     text NOT NULL CHECK (subject <> ''),
    account_id  bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    linked_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX account_identities_by_account ON account_identities (account_id);
COMMENT ON TABLE account_identities IS 'Who an OpenID Connect provider says somebody is, and the account that this is';

CREATE TABLE logins (
    login_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id    bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    token_hash    bytea NOT NULL UNIQUE CHECK (length(token_hash) = 32),
    binding_hash  bytea NOT NULL CHECK (length(binding_hash) = 32),
    method        text NOT NULL CHECK (method IN ('password', 'password and code', 'passkey', 'provider')),
    address       text NOT NULL DEFAULT '' CHECK (length(address) <= 100),
    agent         text NOT NULL DEFAULT '' CHECK (length(agent) <= 300),
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    idle_at       timestamptz NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX logins_by_account ON logins (account_id);
CREATE INDEX logins_by_expiry ON logins (expires_at);
COMMENT ON TABLE logins IS 'Who is logged in, in which browser; a login that ended has no row';
COMMENT ON COLUMN logins.token_hash IS 'SHA-256 of the cookie';
COMMENT ON COLUMN logins.binding_hash IS 'SHA-256 of what only pages of the app''s own origin have';
COMMENT ON COLUMN logins.confirmed_at IS 'When the person last proved to be it, by password, code, passkey or provider';
COMMENT ON COLUMN logins.idle_at IS 'When the login ends if the person does nothing more';

CREATE TABLE totp_factors (
    account_id    bigint PRIMARY KEY REFERENCES accounts ON DELETE CASCADE,
    secret        bytea NOT NULL,
    last_step     bigint NOT NULL,
    added_at      timestamptz NOT NULL DEFAULT now(),
    wrong_codes   integer NOT NULL DEFAULT 0,
    locked_until  timestamptz
);
COMMENT ON TABLE totp_factors IS 'Codes of an authenticator app (RFC 6238); the secret is encrypted under SECRET_KEY';
COMMENT ON COLUMN totp_factors.wrong_codes IS 'In a row; only who knows the password is asked for a code, and can lock them';
COMMENT ON COLUMN totp_factors.last_step IS 'Time step of the newest code that was used: none is taken twice';

CREATE TABLE recovery_codes (
    account_id  bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    code_hash   bytea NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (account_id, code_hash)
);
COMMENT ON TABLE recovery_codes IS 'Each replaces a code of the authenticator app once';

CREATE TABLE passkeys (
    passkey_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id     bigint NOT NULL REFERENCES accounts ON DELETE CASCADE,
    name           text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    rp_id          text NOT NULL,
    credential_id  bytea NOT NULL UNIQUE,
    public_key     bytea NOT NULL,
    sign_count     bigint NOT NULL,
    added_at       timestamptz NOT NULL DEFAULT now(),
    used_at        timestamptz
);
CREATE INDEX passkeys_by_account ON passkeys (account_id);
COMMENT ON TABLE passkeys IS 'WebAuthn credentials; the private keys never leave the people''s devices';
COMMENT ON COLUMN passkeys.rp_id IS 'The host name that the passkey was made for, and is good for';

CREATE TABLE devices (
    device_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint UNIQUE REFERENCES profiles ON DELETE CASCADE,
    channels    text[] NOT NULL CHECK (cardinality(channels) BETWEEN 1 AND 16),
    rate_hz     double precision NOT NULL CHECK (rate_hz BETWEEN 50 AND 2000),
    sensor      text NOT NULL CHECK (sensor IN ('raw', 'envelope')),
    adc_min     double precision NOT NULL,
    adc_max     double precision NOT NULL CHECK (adc_max > adc_min),
    mains_hz    double precision NOT NULL DEFAULT 50 CHECK (mains_hz IN (0, 50, 60)),
    allow_v1    boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE devices IS 'The sensor that a profile wears: channel names and order, rate, raw EMG or envelope';

CREATE TABLE boards (
    board_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name           text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    user_id        bigint UNIQUE REFERENCES profiles ON DELETE SET NULL,
    key_encrypted  bytea,
    last_boot_id   bigint NOT NULL DEFAULT -1,
    created_at     timestamptz NOT NULL DEFAULT now(),
    key_made_at    timestamptz,
    last_device_us bigint NOT NULL DEFAULT -1,
    simulated      boolean NOT NULL DEFAULT false,
    CHECK ((key_encrypted IS NULL) = (key_made_at IS NULL))
);
COMMENT ON TABLE boards IS 'Boards that sign what they send, and the profile that each is assigned to; no key: revoked';
COMMENT ON COLUMN boards.key_encrypted IS 'AES-GCM under a key derived from SECRET_KEY, which is not in the database';
COMMENT ON COLUMN boards.last_boot_id IS 'Newest start of the board that was seen; datagrams of older ones are replays';
COMMENT ON COLUMN boards.last_device_us IS 'Device time of the newest datagram of that start; what is not later is a replay';
COMMENT ON COLUMN boards.simulated IS 'Made for a simulated arm, and removed with it';

CREATE TABLE simulated_arms (
    user_id          bigint PRIMARY KEY REFERENCES profiles ON DELETE CASCADE,
    board_id         bigint NOT NULL UNIQUE REFERENCES boards ON DELETE CASCADE,
    former_board_id  bigint UNIQUE REFERENCES boards ON DELETE SET NULL,
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
    mistakes         double precision NOT NULL DEFAULT 0.02 CHECK (mistakes BETWEEN 0 AND 0.5),
    former_key_made_at  timestamptz,
    started_by       bigint REFERENCES accounts ON DELETE SET NULL
);
CREATE INDEX simulated_arms_by_account ON simulated_arms (started_by) WHERE started_by IS NOT NULL;
COMMENT ON TABLE simulated_arms IS 'Virtual wearers that the service simulator sends for, and how they are steered';
COMMENT ON COLUMN simulated_arms.former_board_id IS 'What sent for the profile before: set aside, the profile''s all the same; it sends again when the arm stops';
COMMENT ON COLUMN simulated_arms.former_key_made_at IS 'When the key was made that the former board had then; with another key it is not given back';
COMMENT ON COLUMN simulated_arms.started_by IS 'The account that started it; each may have a few';
COMMENT ON COLUMN simulated_arms.used_at IS 'When somebody last recorded with it, looked at it or steered it; it stops by itself some hours later';
COMMENT ON COLUMN simulated_arms.gesture IS 'What it performs when no plan runs; null: rest';
COMMENT ON COLUMN simulated_arms.rotation IS 'Of the band, in distances between two electrodes';
COMMENT ON COLUMN simulated_arms.loose_channel IS 'Index of an electrode without contact; loose_flat: it shows nothing in place of noise';
COMMENT ON COLUMN simulated_arms.hum IS 'Of the power line, as a share of the strongest';
COMMENT ON COLUMN simulated_arms.loss IS 'Share of the datagrams that get lost';
COMMENT ON COLUMN simulated_arms.mistakes IS 'Share of the prompts that are performed wrongly';

CREATE TABLE real_names (
    user_id         bigint PRIMARY KEY REFERENCES profiles ON DELETE CASCADE,
    name_encrypted  bytea NOT NULL,
    changed_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE real_names IS 'Who the person behind a pseudonym is';
COMMENT ON COLUMN real_names.name_encrypted IS 'AES-GCM under a key derived from SECRET_KEY, which is not in the database';

CREATE TABLE consent_texts (
    version    text PRIMARY KEY CHECK (version <> '' AND length(version) <= 100),
    content    text NOT NULL,
    stored_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE consent_texts IS 'Every text that somebody agreed to, word for word';

CREATE TABLE consents (
    consent_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id       bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    scopes        text[] NOT NULL CHECK (scopes <@ ARRAY['recording', 'video', 'shared_models', 'shared_data']),
    text_version  text NOT NULL REFERENCES consent_texts,
    agreed_at     timestamptz NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT now(),
    recorded_by   text NOT NULL DEFAULT '' CHECK (length(recorded_by) <= 200),
    CHECK (cardinality(scopes) = 0 OR 'recording' = ANY (scopes))
);
CREATE INDEX consents_by_profile ON consents (user_id, consent_id DESC);
COMMENT ON TABLE consents IS 'What a person agrees to from then on; the newest entry of a profile counts, older ones are its history';
COMMENT ON COLUMN consents.scopes IS 'Empty: withdrawn';
COMMENT ON COLUMN consents.agreed_at IS 'When the person said so; recorded_at is when it was entered';

CREATE TABLE gestures (
    gesture_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    name         text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    description  text NOT NULL DEFAULT '',
    position     integer NOT NULL DEFAULT 0,
    phrase       text NOT NULL DEFAULT '' CHECK (length(phrase) <= 200),
    kind         text NOT NULL DEFAULT 'held' CHECK (kind IN ('held', 'dynamic')),
    UNIQUE (user_id, name),
    CHECK (kind = 'held' OR name <> 'rest'),
    event_times  jsonb NOT NULL DEFAULT '{}'
        CHECK (jsonb_typeof(event_times) = 'object' AND length(event_times::text) <= 1000)
);
COMMENT ON TABLE gestures IS 'The gesture bank of a profile; rest is always in it';
COMMENT ON COLUMN gestures.kind IS 'held: a posture, recognised from window to window; dynamic: performed once, recognised once a performance';
COMMENT ON COLUMN gestures.event_times IS 'As in profiles, where this gesture differs from the profile';
COMMENT ON COLUMN gestures.phrase IS 'What the live page shows large and can speak when the gesture is recognised';

CREATE TABLE gesture_prompts (
    gesture_id  bigint PRIMARY KEY REFERENCES gestures ON DELETE CASCADE,
    media_type  text NOT NULL CHECK (media_type IN ('image/png', 'image/jpeg', 'image/gif', 'image/webp', 'video/mp4',
                                                    'video/webm')),
    content     bytea NOT NULL CHECK (octet_length(content) BETWEEN 1 AND 8388608),
    changed_at  timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE gesture_prompts ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE gesture_prompts IS 'A picture or a short video that shows how a gesture is performed';

CREATE TABLE text_senders (
    number       bigint PRIMARY KEY CHECK (number BETWEEN 0 AND 9223372036854775807),
    user_id      bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    assigned_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX text_senders_by_profile ON text_senders (user_id);
COMMENT ON TABLE text_senders IS 'Numbers in text datagrams (v1) that are no profile''s, and the profile that they are stored for';

-- Recordings --------------------------------------------------------------------------------------------------------

CREATE TABLE sessions (
    session_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    name        text NOT NULL CHECK (name <> '' AND length(name) <= 200),
    origin      text NOT NULL CHECK (origin IN ('capture', 'import', 'taught')),
    status      text NOT NULL CHECK (status IN ('recording', 'completed', 'aborted')),
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz CHECK (ended_at >= started_at),
    channels    text[] NOT NULL CHECK (cardinality(channels) BETWEEN 1 AND 16),
    rate_hz     double precision NOT NULL CHECK (rate_hz BETWEEN 50 AND 2000),
    sensor      text NOT NULL CHECK (sensor IN ('raw', 'envelope')),
    mains_hz    double precision NOT NULL CHECK (mains_hz IN (0, 50, 60)),
    plan        jsonb,
    created_at  timestamptz NOT NULL DEFAULT now(),
    simulated   boolean NOT NULL DEFAULT false,
    CHECK ((status = 'recording') = (ended_at IS NULL))
);
CREATE INDEX sessions_by_profile ON sessions (user_id, started_at);
CREATE UNIQUE INDEX sessions_one_recording ON sessions (user_id) WHERE status = 'recording';
COMMENT ON TABLE sessions IS 'One sitting with one placement of the electrodes; device properties as they were then';
COMMENT ON COLUMN sessions.simulated IS 'Recorded from a simulated arm: of no person''s muscles';

CREATE TABLE repetitions (
    repetition_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id      bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
    gesture_id      bigint NOT NULL REFERENCES gestures ON DELETE CASCADE,
    number          integer NOT NULL CHECK (number >= 0),
    started_at      timestamptz NOT NULL,
    ended_at        timestamptz NOT NULL CHECK (ended_at > started_at),
    excluded        boolean NOT NULL DEFAULT false,
    exclude_reason  text NOT NULL DEFAULT '',
    UNIQUE (session_id, started_at)
);
CREATE INDEX repetitions_by_gesture ON repetitions (gesture_id);
COMMENT ON TABLE repetitions IS 'One performance of a gesture, written when it has been performed';

CREATE FUNCTION require_label_within_session() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    since timestamptz;
    until timestamptz;
BEGIN
    SELECT started_at, coalesce(ended_at, started_at + interval '1 day') INTO since, until
    FROM sessions WHERE session_id = NEW.session_id;
    IF NEW.started_at < since OR NEW.ended_at > until THEN
        RAISE EXCEPTION 'a label of session % lies outside of it', NEW.session_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION require_label_within_session IS 'Refuses a label with an edge outside its session, of one that runs a day after its start';

CREATE CONSTRAINT TRIGGER label_within_session AFTER INSERT OR UPDATE OF session_id, started_at, ended_at ON repetitions
FOR EACH ROW EXECUTE FUNCTION require_label_within_session();

CREATE TABLE repetition_changes (
    change_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id     bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
    repetition_id  bigint NOT NULL,
    changed_at     timestamptz NOT NULL DEFAULT now(),
    changed_by     text NOT NULL DEFAULT '',
    before         jsonb NOT NULL,
    after          jsonb
);
CREATE INDEX repetition_changes_by_session ON repetition_changes (session_id, changed_at);
COMMENT ON TABLE repetition_changes IS 'Every label that was moved, renamed, left out, taken in or deleted afterwards';

-- Webcam videos: the file is in VIDEO_DIR ----------------------------------------------------------------------------

CREATE TABLE videos (
    session_id      bigint PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    status          text NOT NULL DEFAULT 'recording' CHECK (status IN ('recording', 'ready', 'failed')),
    problem         text NOT NULL DEFAULT '',
    seen_at         timestamptz DEFAULT now(),
    started_at      timestamptz,
    ended_at        timestamptz CHECK (ended_at >= started_at),
    frames          integer NOT NULL DEFAULT 0 CHECK (frames >= 0),
    bytes           bigint NOT NULL DEFAULT 0 CHECK (bytes >= 0),
    width           integer,
    height          integer,
    time_error_us   integer,
    CHECK (status <> 'ready' OR (started_at IS NOT NULL AND ended_at IS NOT NULL AND width > 0 AND height > 0))
);
COMMENT ON TABLE videos IS 'The webcam video of a session; the file and the time of each frame are in VIDEO_DIR';
COMMENT ON COLUMN videos.seen_at IS 'Last sign of life of whoever records; empty when nobody does';
COMMENT ON COLUMN videos.started_at IS 'Server time of the first frame, which is at 0 s of the file';
COMMENT ON COLUMN videos.time_error_us IS 'How far the frames'' times may be off; empty: the browser told too little of its clock';

CREATE TABLE erased_videos (
    session_id  bigint PRIMARY KEY,
    erased_at   timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erased_videos IS 'Videos whose row is gone and whose files are still to be removed';

CREATE FUNCTION remember_erased_video() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    INSERT INTO erased_videos (session_id) VALUES (OLD.session_id) ON CONFLICT (session_id) DO NOTHING;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION remember_erased_video IS 'However a video''s row is deleted, its files are removed after the commit';
CREATE TRIGGER videos_erased AFTER DELETE ON videos FOR EACH ROW EXECUTE FUNCTION remember_erased_video();

-- Samples: one row per block of consecutive samples -----------------------------------------------------------------

CREATE TABLE sample_blocks (
    user_id          bigint NOT NULL,
    session_id       bigint,
    started_at       timestamptz NOT NULL,
    segment_id       bigint NOT NULL,
    starts_run       boolean NOT NULL,
    late             boolean NOT NULL,
    clock_offset_us  bigint NOT NULL,
    device_us        bigint NOT NULL,
    received_us      bigint NOT NULL,
    span_us          integer NOT NULL,
    n_samples        integer NOT NULL CHECK (n_samples >= 1),
    n_channels       smallint NOT NULL CHECK (n_channels BETWEEN 1 AND 16),
    steps            bytea NOT NULL,
    samples          bytea NOT NULL,
    CONSTRAINT sample_blocks_sizes CHECK (
        (octet_length(steps) = 4 * n_samples OR octet_length(steps) = 8 * n_samples OR octet_length(steps) = 16 * n_samples)
        AND (octet_length(samples) = 2 * n_samples * n_channels OR octet_length(samples) = 4 * n_samples * n_channels))
) PARTITION BY RANGE (started_at);
ALTER TABLE sample_blocks ALTER COLUMN steps SET STORAGE EXTERNAL;
ALTER TABLE sample_blocks ALTER COLUMN samples SET STORAGE EXTERNAL;
CREATE INDEX sample_blocks_by_profile ON sample_blocks (user_id, started_at);
CREATE INDEX sample_blocks_by_session ON sample_blocks (session_id, started_at) WHERE session_id IS NOT NULL;
COMMENT ON TABLE sample_blocks IS 'Samples (n × channels) with device time, arrival, and the clock fit; session_id only for imported files';
COMMENT ON COLUMN sample_blocks.started_at IS 'Server time of the first sample';
COMMENT ON COLUMN sample_blocks.starts_run IS 'A boot, a wrap or a gap lies before the first sample; conditioning is reset here';
COMMENT ON COLUMN sample_blocks.late IS 'Arrived after its place in time had been passed; never used in a window';
COMMENT ON COLUMN sample_blocks.device_us IS 'Device time of the first sample; received_us likewise its arrival';
COMMENT ON COLUMN sample_blocks.span_us IS 'Device time from the first sample to the last';
COMMENT ON COLUMN sample_blocks.steps IS 'Device times, then arrivals, µs, big-endian: uint16 steps from sample to sample, or int32 or int64 offsets from the first';
COMMENT ON COLUMN sample_blocks.samples IS 'Values sample by sample, big-endian: int16 where all of a block are such, else float32';

CREATE TABLE sample_blocks_default PARTITION OF sample_blocks DEFAULT WITH (toast_tuple_target = 8160);

CREATE FUNCTION make_sample_partition(partition text, since date, until date) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    -- Rows of up to a page stay in the table: chunks of 2 kB beside it cost twice the CPU.
    EXECUTE format(
        'CREATE TABLE %I PARTITION OF sample_blocks FOR VALUES FROM (%L) TO (%L) WITH (toast_tuple_target = 8160)',
        partition, since::timestamp AT TIME ZONE 'UTC', until::timestamp AT TIME ZONE 'UTC');
END
$$;
COMMENT ON FUNCTION make_sample_partition IS 'Makes a partition from a day (UTC) to before another; only as the owner of the tables';

CREATE FUNCTION ensure_sample_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    partition text := 'sample_blocks_' || to_char(day, 'YYYYMMDD');
    month text := 'sample_blocks_' || to_char(day, 'YYYYMM');
BEGIN
    -- Whoever removes a partition waits until what is written now is there.
    PERFORM pg_advisory_xact_lock_shared(hashtext('gone ' || partition));
    PERFORM pg_advisory_xact_lock_shared(hashtext('gone ' || month));
    IF to_regclass(partition) IS NOT NULL OR to_regclass(month) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext(month));
    IF to_regclass(partition) IS NULL AND to_regclass(month) IS NULL THEN
        PERFORM make_sample_partition(partition, day, day + 1);
    END IF;
END
$$;
COMMENT ON FUNCTION ensure_sample_partition IS 'Makes the partition of a day (UTC) unless its month is one; retention drops such partitions';

CREATE FUNCTION ensure_import_partition(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    since date := date_trunc('month', day)::date;
    month text := 'sample_blocks_' || to_char(day, 'YYYYMM');
BEGIN
    PERFORM pg_advisory_xact_lock_shared(hashtext('gone ' || month));
    IF to_regclass(month) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext(month));
    IF to_regclass(month) IS NULL AND day < (now() AT TIME ZONE 'UTC')::date - 62 AND NOT EXISTS (
        SELECT FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE i.inhparent = 'sample_blocks'::regclass AND c.relname ~ ('^' || month || '\d\d$')) THEN
        PERFORM make_sample_partition(month, since, (since + interval '1 month')::date);
    END IF;
    PERFORM ensure_sample_partition(day);
END
$$;
COMMENT ON FUNCTION ensure_import_partition IS 'Makes the partition of a day (UTC) of an import: of the whole month, if nothing of it is stored and it is over';

CREATE FUNCTION expire_sample_partition(partition regclass, keep_sessions boolean) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    number text := substring(partition::text FROM 'sample_blocks_(\d{6}(?:\d{2})?)$');
    day date := to_date(rpad(number, 8, '01'), 'YYYYMMDD');
    until date := CASE length(number) WHEN 8 THEN day + 1 ELSE (day + interval '1 month')::date END;
    n_kept bigint;
    n_stored bigint;
BEGIN
    IF day IS NULL OR NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = partition AND inhparent = 'sample_blocks'::regclass) THEN
        RAISE EXCEPTION '% is no day of sample_blocks', partition;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('gone sample_blocks_' || number));
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', partition);
    EXECUTE format($q$
        CREATE TEMP TABLE kept_blocks ON COMMIT DROP AS SELECT * FROM %1$s WHERE $1 AND ctid IN (
            SELECT b.ctid FROM sessions s JOIN %1$s b
            ON b.user_id = s.user_id AND b.session_id IS NULL
               AND b.started_at >= s.started_at - interval '1 second'
               AND b.started_at < coalesce(s.ended_at, 'infinity')
            WHERE s.origin <> 'import' AND (s.status = 'recording' OR EXISTS (
                SELECT FROM repetitions r WHERE r.session_id = s.session_id))
            UNION ALL
            SELECT b.ctid FROM sessions s JOIN %1$s b USING (session_id))
        $q$, partition) USING keep_sessions;
    SELECT count(*) INTO n_kept FROM kept_blocks;
    EXECUTE format('SELECT count(*) FROM %s', partition) INTO n_stored;
    IF n_kept < n_stored OR n_stored = 0 THEN
        EXECUTE format('DROP TABLE %s', partition);
        DELETE FROM sample_summaries
        WHERE started_at >= day::timestamp AT TIME ZONE 'UTC' AND started_at < until::timestamp AT TIME ZONE 'UTC';
        IF n_kept > 0 THEN
            PERFORM make_sample_partition('sample_blocks_' || number, day, until);
            INSERT INTO sample_blocks SELECT * FROM kept_blocks;
        END IF;
    END IF;
    DROP TABLE kept_blocks;
    RETURN n_kept < n_stored OR n_stored = 0;
END
$$;
COMMENT ON FUNCTION expire_sample_partition IS 'Drops a day or a month; with keep_sessions, blocks of labelled and of imported sessions stay. Tells whether anything went';

CREATE FUNCTION drop_empty_sample_partition(partition regclass) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    number text := substring(partition::text FROM 'sample_blocks_(\d{6}(?:\d{2})?)$');
    filled boolean;
BEGIN
    IF number IS NULL OR NOT EXISTS (
        SELECT FROM pg_inherits WHERE inhrelid = partition AND inhparent = 'sample_blocks'::regclass) THEN
        RAISE EXCEPTION '% is no day of sample_blocks', partition;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', partition) INTO filled;
    IF filled THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('gone sample_blocks_' || number));
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', partition);
    EXECUTE format('SELECT EXISTS (SELECT FROM %s)', partition) INTO filled;
    IF NOT filled THEN
        EXECUTE format('DROP TABLE %s', partition);
    END IF;
    RETURN NOT filled;
END
$$;
COMMENT ON FUNCTION drop_empty_sample_partition IS 'Drops a day or a month of which nothing is stored any more, and tells whether it was so';

CREATE FUNCTION merge_sample_month(month date, most_bytes bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    since date := date_trunc('month', month)::date;
    until date := (since + interval '1 month')::date;
    whole text := 'sample_blocks_' || to_char(month, 'YYYYMM');
    bounds text := format('started_at >= %L AND started_at < %L',
                          since::timestamp AT TIME ZONE 'UTC', until::timestamp AT TIME ZONE 'UTC');
    days text[];
    day text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(whole));
    SELECT array_agg(c.relname::text ORDER BY c.relname) INTO days
    FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE i.inhparent = 'sample_blocks'::regclass AND c.relname ~ ('^' || whole || '\d\d$');
    IF days IS NULL OR to_regclass(whole) IS NOT NULL
       OR (SELECT sum(pg_total_relation_size(one.name::regclass)) FROM unnest(days) AS one (name)) > most_bytes THEN
        RETURN false;
    END IF;
    FOREACH day IN ARRAY days LOOP
        PERFORM pg_advisory_xact_lock(hashtext('gone ' || day));
        EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', day);
    END LOOP;
    EXECUTE format('CREATE TABLE %I (LIKE sample_blocks INCLUDING ALL) WITH (toast_tuple_target = 8160)', whole);
    FOREACH day IN ARRAY days LOOP
        EXECUTE format('INSERT INTO %I SELECT * FROM %I', whole, day);
    END LOOP;
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT sample_blocks_month CHECK (%s)', whole, bounds);
    -- From here on everybody waits, so there is little to do.
    FOREACH day IN ARRAY days LOOP
        EXECUTE format('DROP TABLE %I', day);
    END LOOP;
    EXECUTE format('ALTER TABLE sample_blocks ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                   whole, since::timestamp AT TIME ZONE 'UTC', until::timestamp AT TIME ZONE 'UTC');
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT sample_blocks_month', whole);
    RETURN true;
END
$$;
COMMENT ON FUNCTION merge_sample_month IS 'Makes one partition of the days of a month, unless they are larger; tells whether it did';

CREATE FUNCTION bytes_to_real(bits bigint) RETURNS real
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = public AS $$
    SELECT CASE
        WHEN (bits >> 23) & 255 = 255 AND bits & 8388607 > 0 THEN 'NaN'::real
        WHEN (bits >> 23) & 255 = 255 THEN CASE WHEN bits >> 31 = 1 THEN '-Infinity' ELSE 'Infinity' END::real
        ELSE (CASE WHEN bits >> 31 = 1 THEN -1.0 ELSE 1.0 END::float8
              * CASE WHEN (bits >> 23) & 255 = 0 THEN (bits & 8388607)::float8 * power(2::float8, -149)
                     ELSE ((bits & 8388607) + 8388608)::float8 * power(2::float8, ((bits >> 23) & 255) - 150) END)::real
    END
$$;
COMMENT ON FUNCTION bytes_to_real IS 'The float32 that has these 32 bits';

CREATE FUNCTION unpack_samples(n integer, c integer, steps bytea, samples bytea)
RETURNS TABLE (device_us bigint, received_us bigint, channels real[])
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE SET search_path = public AS $$
DECLARE
    times bytea := steps || ''::bytea;  -- fetched from beside the table once, not at every look
    packed bytea := samples || ''::bytea;
    width integer := octet_length(steps) / (2 * n);
    wide boolean := octet_length(samples) = 4 * n * c;
    at integer;
    bits bigint;
BEGIN
    device_us := 0;
    received_us := 0;
    FOR i IN 0 .. n - 1 LOOP
        IF width = 2 THEN
            device_us := device_us + (get_byte(times, 2 * i) << 8) + get_byte(times, 2 * i + 1);
            received_us := received_us + (get_byte(times, 2 * (n + i)) << 8) + get_byte(times, 2 * (n + i) + 1);
        ELSIF width = 4 THEN
            device_us := ('x' || encode(substring(times FROM 4 * i + 1 FOR 4), 'hex'))::bit(32)::integer;
            received_us := ('x' || encode(substring(times FROM 4 * (n + i) + 1 FOR 4), 'hex'))::bit(32)::integer;
        ELSE
            device_us := ('x' || encode(substring(times FROM 8 * i + 1 FOR 8), 'hex'))::bit(64)::bigint;
            received_us := ('x' || encode(substring(times FROM 8 * (n + i) + 1 FOR 8), 'hex'))::bit(64)::bigint;
        END IF;
        channels := '{}';
        FOR k IN 0 .. c - 1 LOOP
            IF wide THEN
                at := 4 * (i * c + k);
                bits := (get_byte(packed, at)::bigint << 24) + (get_byte(packed, at + 1) << 16)
                        + (get_byte(packed, at + 2) << 8) + get_byte(packed, at + 3);
                channels[k + 1] := bytes_to_real(bits);
            ELSE
                at := 2 * (i * c + k);
                bits := (get_byte(packed, at) << 8) + get_byte(packed, at + 1);
                channels[k + 1] := bits - CASE WHEN bits >= 32768 THEN 65536 ELSE 0 END;
            END IF;
        END LOOP;
        RETURN NEXT;
    END LOOP;
END
$$;
COMMENT ON FUNCTION unpack_samples IS 'The samples of a block, one row each; times in µs behind the first sample';

CREATE VIEW user_sensor AS
SELECT b.user_id AS userid,
       b.session_id,
       timestamptz 'epoch' + (b.device_us + s.device_us + b.clock_offset_us) * interval '1 microsecond' AS server_at,
       (b.device_us + s.device_us) / 1000.0 AS device_ms,
       timestamptz 'epoch' + (b.received_us + s.received_us) * interval '1 microsecond' AS received_at,
       b.late,
       s.channels[1] AS a0, s.channels[2] AS a1, s.channels[3] AS a2, s.channels[4] AS a3,
       s.channels[5] AS a4, s.channels[6] AS a5, s.channels[7] AS a6, s.channels[8] AS a7,
       s.channels[9] AS a8, s.channels[10] AS a9, s.channels[11] AS a10, s.channels[12] AS a11,
       s.channels[13] AS a12, s.channels[14] AS a13, s.channels[15] AS a14, s.channels[16] AS a15
FROM sample_blocks b
CROSS JOIN LATERAL unpack_samples(b.n_samples, b.n_channels, b.steps, b.samples) AS s;
COMMENT ON VIEW user_sensor IS 'One row per sample, for people who query by SQL; channels by position';

CREATE TABLE sample_summaries (
    user_id     bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    session_id  bigint NOT NULL,
    started_at  timestamptz NOT NULL,
    n_channels  integer NOT NULL,
    rate_hz     double precision NOT NULL,
    n_rows      integer NOT NULL,
    n_samples   bigint NOT NULL,
    content     bytea NOT NULL,
    PRIMARY KEY (user_id, session_id, started_at, n_channels)
);
ALTER TABLE sample_summaries ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE sample_summaries IS 'Lowest, highest, mean and variance of a minute of samples in bins; made when needed, stale when rows and samples differ';
COMMENT ON COLUMN sample_summaries.session_id IS 'Of imported samples; 0 for live ones';

CREATE TABLE session_quality (
    session_id   bigint PRIMARY KEY REFERENCES sessions ON DELETE CASCADE,
    level        text NOT NULL CHECK (level IN ('good', 'fair', 'bad')),
    reason       text NOT NULL,
    repetitions  jsonb NOT NULL DEFAULT '{}',
    assessed_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE session_quality IS 'How good the signal of a session was, judged by job_runner after its end';
COMMENT ON COLUMN session_quality.repetitions IS 'Level and reason by repetition_id, as its interval was when it was judged';

CREATE TABLE journal_progress (
    stream      text NOT NULL,
    partition   integer NOT NULL,
    created_at  timestamptz NOT NULL,
    sequence    bigint NOT NULL,
    PRIMARY KEY (stream, partition)
);
COMMENT ON TABLE journal_progress IS 'Last journal message that is in sample_blocks, saved in the same transaction';

CREATE TABLE erased_spans (
    user_id     bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    started_at  timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL CHECK (ended_at >= started_at),
    erased_at   timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX erased_spans_by_profile ON erased_spans (user_id);
COMMENT ON TABLE erased_spans IS 'Times of erased captures: what the journal still holds of them is not stored again';

-- Training and models -----------------------------------------------------------------------------------------------

CREATE TABLE jobs (
    job_id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id           bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    session_ids       bigint[] NOT NULL CHECK (cardinality(session_ids) >= 1),
    classifier        text NOT NULL CHECK (classifier IN ('cnn', 'logcov_lda', 'td_lda')),
    options           jsonb NOT NULL DEFAULT '{}',
    status            text NOT NULL DEFAULT 'scheduled'
                      CHECK (status IN ('scheduled', 'in-progress', 'completed', 'failed', 'canceled')),
    scheduled_at      timestamptz NOT NULL DEFAULT now(),
    created_at        timestamptz NOT NULL DEFAULT now(),
    started_at        timestamptz,
    ended_at          timestamptz,
    progress          real NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 100),
    epoch             integer NOT NULL DEFAULT 0,
    epochs            integer NOT NULL DEFAULT 0,
    log               text NOT NULL DEFAULT '',
    error             text NOT NULL DEFAULT '',
    cancel_requested  boolean NOT NULL DEFAULT false,
    runner            text NOT NULL DEFAULT '',
    heartbeat_at      timestamptz,
    used              jsonb,
    epoch_points      jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(epoch_points) = 'array'),
    requested_by      bigint REFERENCES accounts ON DELETE SET NULL
);
COMMENT ON COLUMN jobs.used IS 'The repetitions as they were when the training read them; later changes do not touch it';
COMMENT ON COLUMN jobs.epoch_points IS 'The newest epochs of its networks: what, epoch, epochs, loss, held_out_error';
COMMENT ON COLUMN jobs.requested_by IS 'The account that queued it; accounts take turns, and a disabled one''s jobs wait';
CREATE INDEX jobs_by_profile ON jobs (user_id, created_at);
CREATE INDEX jobs_waiting ON jobs (scheduled_at) WHERE status IN ('scheduled', 'in-progress');
CREATE INDEX jobs_by_account ON jobs (requested_by) WHERE requested_by IS NOT NULL;
COMMENT ON TABLE jobs IS 'Training runs; a runner claims a scheduled one by one UPDATE';

CREATE TABLE models (
    model_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id     bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    version     integer NOT NULL CHECK (version >= 1),
    job_id      bigint REFERENCES jobs ON DELETE SET NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    artifact    bytea NOT NULL,
    metadata    jsonb NOT NULL,
    report      jsonb NOT NULL,
    UNIQUE (user_id, version),
    UNIQUE (user_id, model_id)
);
CREATE INDEX models_by_job ON models (job_id);
COMMENT ON TABLE models IS 'Classifier versions: safetensors bytes, their description, the report of the training';

CREATE TABLE active_models (
    user_id       bigint PRIMARY KEY REFERENCES profiles ON DELETE CASCADE,
    model_id      bigint NOT NULL UNIQUE,
    activated_at  timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (user_id, model_id) REFERENCES models (user_id, model_id) ON DELETE CASCADE
);
COMMENT ON TABLE active_models IS 'Which version decides for a profile; rollback is activating an older one';

CREATE TABLE erased_from_bases (
    user_id    bigint PRIMARY KEY,
    erased_at  timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erased_from_bases IS 'People who are to be taken out of the bases that lie in DATA_DIR/bases';

CREATE TABLE play_results (
    result_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id        bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    kind           text NOT NULL CHECK (kind IN ('fitts', 'reaction')),
    model_version  integer NOT NULL CHECK (model_version >= 1),
    played_at      timestamptz NOT NULL DEFAULT now(),
    simulated      boolean NOT NULL DEFAULT false,
    settings       jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object' AND length(settings::text) <= 20000),
    result         jsonb NOT NULL CHECK (jsonb_typeof(result) = 'object' AND length(result::text) <= 50000),
    raw            jsonb NOT NULL CHECK (jsonb_typeof(raw) = 'object' AND length(raw::text) <= 500000)
);
CREATE INDEX play_results_by_profile ON play_results (user_id, played_at);
COMMENT ON TABLE play_results IS 'Tests that were played by gestures: their figures, and what these were computed from';
COMMENT ON COLUMN play_results.model_version IS 'Of the classifier that decided; it may be gone';
COMMENT ON COLUMN play_results.simulated IS 'Played by a simulated arm: of no person''s muscles';
COMMENT ON COLUMN play_results.raw IS 'Every selection of a Fitts'' law test, every prompt of a reaction test';

CREATE TABLE api_responses (
    user_id           bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    decided_at        timestamptz NOT NULL,
    label             text,
    confidence        real NOT NULL,
    model_version     integer NOT NULL,
    window_end_device_ms  double precision NOT NULL,
    window_end_at     timestamptz NOT NULL,
    received_at       timestamptz NOT NULL
);
CREATE INDEX api_responses_by_profile ON api_responses (user_id, decided_at);
COMMENT ON TABLE api_responses IS 'Decisions as they were published; no label: the vote was rejected';

CREATE TABLE event_counters (
    user_id  bigint PRIMARY KEY REFERENCES profiles ON DELETE CASCADE,
    last     bigint NOT NULL CHECK (last > 0)
);
COMMENT ON TABLE event_counters IS 'Number of each profile''s newest gesture event; none is used again';

CREATE TABLE gesture_events (
    user_id        bigint NOT NULL REFERENCES profiles ON DELETE CASCADE,
    sequence       bigint NOT NULL CHECK (sequence > 0),
    kind           text NOT NULL CHECK (kind IN ('press', 'hold', 'release')),
    gesture        text NOT NULL,
    at             timestamptz NOT NULL,
    begun_at       timestamptz NOT NULL,
    pressed_at     timestamptz NOT NULL,
    confidence     real NOT NULL,
    strength       real CHECK (strength BETWEEN 0 AND 1),
    model_version  integer NOT NULL,
    reason         text NOT NULL DEFAULT '',
    PRIMARY KEY (user_id, sequence)
);
CREATE INDEX gesture_events_by_time ON gesture_events (user_id, at);
COMMENT ON TABLE gesture_events IS 'Gestures that were pressed, held and released; of erased ones the numbers are missing';
COMMENT ON COLUMN gesture_events.strength IS '0: as at rest, 1: as strong as in the training; NULL where the model does not know';
COMMENT ON COLUMN gesture_events.reason IS 'Why it was released: let go, signal lost, another model, restarted';

-- Operation ---------------------------------------------------------------------------------------------------------

CREATE TABLE services (
    service     text NOT NULL,
    instance    text NOT NULL,
    pid         integer NOT NULL,
    started_at  timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    metrics     jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (service, instance)
);
COMMENT ON TABLE services IS 'Last sign of life of every service, with its counters';

CREATE TABLE audit_entries (
    entry_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    account_id  bigint,
    service     text NOT NULL DEFAULT '' CHECK (length(service) <= 50),
    action      text NOT NULL CHECK (action ~ '^[a-z_]+\.[a-z_]+$'),
    user_id     bigint,
    session_id  bigint,
    counts      jsonb NOT NULL DEFAULT '{}',
    number      bigint UNIQUE CHECK (number >= 1),
    hash        bytea CHECK (octet_length(hash) = 32),
    CHECK ((account_id IS NULL) <> (service = '')),
    CONSTRAINT audit_entries_chained CHECK ((number IS NULL) = (hash IS NULL))
);
CREATE INDEX audit_entries_by_time ON audit_entries (at);
CREATE INDEX audit_entries_by_profile ON audit_entries (user_id, at);
COMMENT ON TABLE audit_entries IS 'Who saw, exported, changed and erased what: numbers only, added and never changed; outlives what it tells of';
COMMENT ON COLUMN audit_entries.account_id IS 'Who; empty when a service or a program with a token did it, which service names';
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

CREATE FUNCTION refuse_audit_change() RETURNS trigger
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
CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE ON audit_entries FOR EACH ROW EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER audit_not_emptied BEFORE TRUNCATE ON audit_entries
FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE CONSTRAINT TRIGGER audit_chained AFTER INSERT ON audit_entries DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW WHEN (NEW.number IS NULL) EXECUTE FUNCTION chain_audit();

CREATE FUNCTION expire_audit(before timestamptz) RETURNS bigint
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

INSERT INTO schema_migrations (number)
VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10), (11), (12), (13), (14), (15), (16), (17), (18), (19), (20), (21), (22), (23), (24), (25), (26), (27), (28), (30), (31), (32), (33);

COMMIT;

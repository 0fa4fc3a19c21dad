-- The language that a participant reads in: prompts, consent, the plain live view, the phone.
ALTER TABLE profiles ADD COLUMN language text NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'de', 'es'));
COMMENT ON COLUMN profiles.language IS 'Of what the participant reads: ISO 639-1';

-- Giving recordings to others is a consent of its own: models of several people hold no measurements.
ALTER TABLE consents DROP CONSTRAINT consents_scopes_check;
ALTER TABLE consents ADD CHECK (scopes <@ ARRAY['recording', 'video', 'shared_models', 'shared_data']);

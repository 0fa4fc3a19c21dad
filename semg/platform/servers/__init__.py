"""The embedded PostgreSQL and NATS: files, users, start."""

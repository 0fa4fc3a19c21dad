"""The schema of an installation's database, its backups, and their restoration."""

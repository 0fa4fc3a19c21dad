"""Authentication and integrity: logins, second factors, keys, encryption, and the audit log's hash chain."""

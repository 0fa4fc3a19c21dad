"""Consent, pseudonyms, and the export of personal data."""

"""Names of people, gestures, sessions and logins: their one form, and the characters that they must not have."""

"""Names of people, gestures, sessions and logins: their normal form, and the characters that are not allowed."""

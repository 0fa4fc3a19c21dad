"""What accounts and programs change: each with the right that it needs and its entry in the audit log.

The pages and the API call the same functions, in a transaction of theirs; nothing else decides.
"""

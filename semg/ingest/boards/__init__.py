"""Binary datagrams (v2): authenticated, put in order, one stream for each board."""

"""Other machines: the LAN address, its certificate, and the gateway (`--lan`)."""

"""Processes: isolation, life cycle, the bus, and partition leases."""

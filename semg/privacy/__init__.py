"""What people agreed to, how they are named, and how their data leave the platform."""

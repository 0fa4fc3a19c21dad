"""What two or more services share; the services themselves live in their own folders."""

"""What starts, supervises and stops the services, and the embedded PostgreSQL and NATS beneath them."""

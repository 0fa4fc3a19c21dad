"""Training jobs: ``training`` runs one job, ``runner`` starts, monitors and ends the processes that run them."""

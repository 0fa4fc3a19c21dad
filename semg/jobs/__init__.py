"""Training jobs: ``training`` does one job, ``runner`` starts, watches and ends the processes that do them."""

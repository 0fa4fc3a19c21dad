"""Background work of a job runner: captures, videos, summaries, retention, removal of people from priors."""

"""What a job runner does beside trainings: captures, videos, summaries, retention, priors of people who left."""

"""Population priors from other people's data: built from recordings or from profiles that consent."""

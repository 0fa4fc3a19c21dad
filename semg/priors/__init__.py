"""Population priors: what other people's data say beforehand, made from recordings or from profiles that consent."""

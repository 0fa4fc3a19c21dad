"""Long signals as a screen can show them: decimated, summarised, as a spectrum."""

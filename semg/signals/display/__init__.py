"""Display of long signals: decimation, summaries, spectra."""

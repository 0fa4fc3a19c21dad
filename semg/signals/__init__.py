"""Signal processing: conditioning, windows, classifiers, decisions, synthesis. No I/O."""

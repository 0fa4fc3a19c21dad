"""What is done with signals: conditioning, windows, classifiers, decisions, synthesis. No I/O in here."""

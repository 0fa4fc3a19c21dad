"""What the pages share: the frame around every page, widgets, live drawing, colours, times."""

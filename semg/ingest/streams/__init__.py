"""What text and binary datagrams share: datagrams as columns, clocks, limits, counters, who sends."""

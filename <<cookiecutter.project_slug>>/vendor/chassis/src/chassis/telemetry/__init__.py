"""What a service tells of itself: its log, its metrics and its traces."""

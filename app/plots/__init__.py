"""Everything drawn in the window: maps, colour bar, score curves and the timeline."""

"""Training runs in the window: begun, watched, paused, compared, and their weights taken into use."""

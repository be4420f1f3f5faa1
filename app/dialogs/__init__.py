"""Windows in front of the window, and the bar that speaks without being one."""

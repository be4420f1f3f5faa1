"""Jobs: one file per command. A job is a generator of frozen events and knows no screen and no terminal."""

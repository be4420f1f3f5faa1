"""Every reader on damaged files: nothing but the contract's error, in bounded time and memory."""

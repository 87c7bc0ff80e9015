"""Where a response goes: sinks, the wrappers around them, and the wire encoders."""

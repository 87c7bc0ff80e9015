"""The bootstrap way: Lamina's own loop around the Runtime API. The only I/O in the layer."""

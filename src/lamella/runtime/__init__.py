"""The bootstrap way: Lamella's own loop around the Runtime API. The only I/O in the layer."""

"""What `lamella websocket init` sets up, one module for each kind of store that needs it."""

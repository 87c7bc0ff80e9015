"""Connection stores, one module for each scheme of `ASGI_WEBSOCKET_STORE`."""

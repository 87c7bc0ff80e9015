"""The life of one ASGI scope: state machines between an application and a sink."""

"""API Gateway's WebSocket APIs, from AWS's side: connections, their events and @connections.

Nothing is imported here: the event builders alone (`events`) need no web server.
"""

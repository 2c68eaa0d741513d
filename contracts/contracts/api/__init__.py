"""Requests and answers of the internal HTTP APIs, one module a service; only the gateway calls them."""

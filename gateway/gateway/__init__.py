"""The web UI, the JSON API, the edge and the live updates."""

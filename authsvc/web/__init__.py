"""Listeners, the sub-request route, the JSON API, responses."""

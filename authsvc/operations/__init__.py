"""Audit, health, reload."""

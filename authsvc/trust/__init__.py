"""Certification path, client profile and revocation."""

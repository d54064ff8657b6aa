"""The eight steps from a presented certificate to a verdict."""

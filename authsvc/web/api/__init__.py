"""The JSON API under `/v1`: one file per resource."""

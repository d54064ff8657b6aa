"""From the names of a certificate to one entry of one directory, and to an identity with groups."""

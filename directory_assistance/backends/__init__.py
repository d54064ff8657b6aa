"""The kinds of directory, one module each."""

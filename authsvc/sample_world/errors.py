"""What can go wrong when the sample world is laid or its servers are started."""

__all__ = ["MissingProgram"]


class MissingProgram(Exception):  # noqa: N818 - says what is missing, as the other errors here say what is wrong
    """A server program is not installed; the text names the Debian package that brings it."""

    def __init__(self, program: str, *, package: str) -> None:
        super().__init__(f"`{program}` is not installed (on Debian and Ubuntu: apt-get install {package})")
        self.program = program
        self.package = package

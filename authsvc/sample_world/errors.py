"""What can go wrong when the sample world is laid or its servers are started."""

__all__ = ["MissingProgram", "WorldError"]


class WorldError(Exception):
    """The world cannot be laid or run here; the text says what is in the way, and what to do about it."""


class MissingProgram(WorldError):  # noqa: N818 - the name says what is wrong
    """A server program is not installed; the text names the Debian package that brings it."""

    def __init__(self, program: str, *, package: str) -> None:
        super().__init__(f"`{program}` is not installed (on Debian and Ubuntu: apt-get install {package})")
        self.program = program
        self.package = package

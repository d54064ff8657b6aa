"""LDIF directories: `LdifDirectory` over a file that is only read, such as an export, and the settings it takes.

The parts: settings (`settings.py`), the grammar of RFC 2849 (`reading.py`), one file read whole, with its index
(`content.py`), the file as it changes (`source.py`), watching it (`watch.py`), and the directory itself
(`directory.py`).
"""

from directory_assistance.backends.ldif.directory import LdifDirectory
from directory_assistance.backends.ldif.settings import LdifSettings

__all__ = ["LdifDirectory", "LdifSettings"]

"""The end client's request, as the web server that we trust tells it.

Which headers say it is `presented/original_headers.py`; what it asks for is `access/databases.py`.
"""

from dataclasses import dataclass

__all__ = ["OriginalRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OriginalRequest:
    """Method, path with query, host and scheme of the original request.

    `method` is as sent; `uri` begins with the path and may carry a query; `host` and `scheme` are None where the web
    server does not set them (they are then never read from the client's own headers).
    """

    method: str
    uri: str
    host: str | None = None
    scheme: str | None = None

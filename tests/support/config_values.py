"""Values as a confused administrator might write them, for the properties of reading configuration."""

import yaml
from hypothesis import strategies as st

__all__ = ["confused_texts"]

_WORDS = [
    *[
        "",
        "corp",
        "nginx",
        "tls",
        "rfc9440",
        "sql",
        "ldap",
        "ldif",
        "off",
        "require",
        "own",
        "mail",
        "filter",
        "sid",
    ],
    *[
        "anonymous",
        "certificate",
        "*/Acme",
        "o=acme",
        "sqlite:///a.db",
        "postgresql+psycopg://u:${X}@h/d",
        "ldaps://a",
    ],
    *[
        "ldap://b",
        "/x/**",
        "127.0.0.1:8443",
        "unix:a.sock",
        "10.0.0.0/8",
        "corp-root.pem",
        "server.key",
        "edge.secret",
    ],
    *[
        "1s",
        "999999999d",
        "../x",
        "(mail={san.mail})",
        "${HOME}",
        "${",
        "a\x85b",
        "\u202e",
        "é",
        "x" * 300,
        "name",
        "*",
    ],
    *[
        "first",
        "2027-01-01",
        "0001-01-01T00:00:00+14:00",
        "uri",
        "host",
        "x-original",
        "appended",
        "1.2.3",
        "[::1]:1",
    ],
    *[
        "Reader",
        "delete_documents",
        "active-directory",
        "Remote-User",
        "direct",
        "api",
        "server.pem",
        "lists",
    ],
]


def _shape(*keys: str) -> st.SearchStrategy[object]:
    """Return mappings of some of these keys to anything, a few levels deep."""
    scalars = st.none() | st.booleans() | st.integers(-5, 70_000) | st.sampled_from(_WORDS)
    values = st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(keys), inner, max_size=5),
        max_leaves=25,
    )
    return st.dictionaries(st.sampled_from(keys), values, max_size=8)


def confused_texts(*keys: str) -> st.SearchStrategy[str]:
    """Return YAML texts: the known keys in any places with any values."""
    return _shape(*keys).map(lambda data: yaml.safe_dump(data, allow_unicode=True))

"""Reading where a directory is and how it is reached: `url` of type `sql`, `file` of `ldif`, `ldap` of `ldap`.

What lives here: addresses, binds, TLS, passwords by reference. What does not: the domain around
(`config.py`), its match plan (`config_plan.py`).

INVARIANT: a password that stands in the file itself is refused, and never quoted.
"""

import ssl
from collections.abc import Callable, Mapping
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy import URL

from directory_assistance.backends.ldap.settings import (
    AnonymousBind,
    Bind,
    ExternalBind,
    GroupStyle,
    LdapHost,
    LdapSettings,
    LdapTls,
    ServerKind,
    SimpleBind,
    Transport,
    read_ldap_uri,
)
from directory_assistance.backends.ldif.settings import LdifSettings
from directory_assistance.config_models import BindModel, LdapModel
from directory_assistance.config_reading import ConfigReader, describe_ssl_error, reference_in
from directory_assistance.dn import DistinguishedName, read_ldap_dn
from directory_assistance.errors import shorten
from directory_assistance.filters import check_attribute_description
from directory_assistance.sql_engine import SqlSettings, read_database_url
from directory_assistance.yaml_lines import YamlPath, expand_references

__all__ = ["LdapReader", "read_ldif", "read_sql"]

_LONGEST_TIMEOUT = timedelta(minutes=1)
"""Of one LDAP operation; a request waits for no longer than ten seconds anyway."""


# --- sql


def read_sql(reader: ConfigReader, path: YamlPath, text: str | None) -> SqlSettings | None:
    """Read the address of a database, in which the password, or all of it, may be a reference.

    1. A reference that is everything is replaced, and what it gives is the address.
    2. The address is taken apart, so that a password may hold any character.
    3. What stands in the file itself may not be a password; references in it are replaced.
    4. A relative SQLite file belongs to the folder of the configuration.
    """
    if text is None:
        return None
    whole = text.startswith("${") and text.endswith("}") and text.count("${") == 1
    address = reader.referred(path, text) if whole else text  # 1
    url = reader.read(path, address, read_database_url)  # 2
    if url is None:
        return None
    if not whole:  # 3
        if url.password and not reference_in(str(url.password)):
            reader.error(
                path,
                "a password does not stand in this file",
                hint="`${VARIABLE}` in its place, and set that",
            )
            return None
        url = _expanded(reader, path, url)
        if url is None:
            return None
    if url.get_backend_name() == "sqlite":  # 4
        located = reader.located(path, url.database)
        if located is None:
            return None
        url = url.set(database=str(located))
    elif _crosses_network(url) and url.query.get("sslmode") not in {"verify-full", "verify-ca"}:
        reader.warn(
            path,
            "the database server is believed without a look at its certificate",
            hint="`?sslmode=verify-full`",
        )
    return SqlSettings(
        url=url.render_as_string(hide_password=False), shown=url.render_as_string(hide_password=True)
    )


def _expanded(reader: ConfigReader, path: YamlPath, url: URL) -> URL | None:
    """Replace the references in the parts of an address."""
    texts = [url.username, url.password, url.host, url.database]
    values = [None if text is None else reader.referred(path, str(text)) for text in texts]
    if any(value is None and text is not None for value, text in zip(values, texts, strict=True)):
        return None
    username, password, host, database = values
    return url.set(username=username, password=password, host=host, database=database)


def _crosses_network(url: URL) -> bool:
    host = url.host or ""
    if not host or host == "localhost":
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


# --- ldif


def read_ldif(reader: ConfigReader, path: YamlPath, text: str | None) -> LdifSettings | None:
    """Read the name of a file that must be there and open to us; what stands in it is read with the first question."""
    located = reader.readable(path, text)
    return None if located is None else LdifSettings(path=located)


# --- ldap


class LdapReader:
    """Reads `ldap` of one domain."""

    def __init__(self, reader: ConfigReader, path: YamlPath, model: LdapModel) -> None:
        self._reader = reader
        self._path = path
        self._model = model

    def read(self, group_style: GroupStyle, style_path: YamlPath) -> LdapSettings | None:
        """Return the settings; None where so much is missing that there are none.

        Args:
            group_style: how groups are found.
            style_path: where that stands.

        """
        model = self._model
        if group_style.needs_active_directory and model.server is not ServerKind.ACTIVE_DIRECTORY:
            self._reader.error(
                style_path,
                f"`{group_style}` is for `server: active-directory`, and this server is `{model.server}`",
                hint="`style: member`: others would answer that there are no groups",
            )
        hosts = self._read_hosts()
        base = self._read_dn("base", model.base)
        bind = self._read_bind(hosts)
        tls = self._read_tls(hosts)
        self._check_times()
        self._reader.read((*self._path, "name_attribute"), model.name_attribute, check_attribute_description)
        if not hosts or base is None:
            return None
        return LdapSettings(
            hosts=tuple(host.uri for host in hosts),
            base=base,
            bind=bind,
            tls=tls,
            connect_timeout=model.connect_timeout,
            timeout=model.timeout,
            server=model.server,
            name_attribute=model.name_attribute,
            group_style=group_style,
            watch=model.watch == "auto",
        )

    def _read_hosts(self) -> tuple[LdapHost, ...]:
        path = (*self._path, "hosts")
        self._reader.require(path, hint="`[ldaps://ldap.example.com]`")
        texts = self._model.hosts
        if texts == ():
            self._reader.error(path, "expected at least one host, found none")
        read = [
            self._reader.read((*path, position), text, read_ldap_uri)
            for position, text in enumerate(texts or ())
        ]
        self._reader.unique(path, texts or ())
        return tuple(host for host in read if host is not None)

    def _read_dn(self, key: str, text: str | None) -> DistinguishedName | None:
        self._reader.require((*self._path, key))
        return self._reader.read((*self._path, key), text, read_ldap_dn)

    def _read_bind(self, hosts: tuple[LdapHost, ...]) -> Bind:
        model, path = self._model.bind, (*self._path, "bind")
        if model is None or model == BindModel():
            # NOTE: `bind:` with nothing readable in it comes here too; its mistakes are already reported.
            if self._reader.stands(path) and self._reader.loaded.value_at(path) == {}:
                self._reader.error(path, "expected `anonymous`, `dn` or `external`, found nothing")
            return AnonymousBind()
        if model.external is not None:
            return self._read_external(model, hosts)
        if not self._reader.stands((*path, "dn")):
            self._reader.error((*path, "dn"), "missing")
        else:
            self._check_bind_name(model.dn)
        return self._read_password(model)

    def _check_bind_name(self, name: str | None) -> None:
        """Check the name to bind with: a DN, or for Active Directory a UPN as well."""
        is_upn = name is not None and "=" not in name and "@" in name
        if not (is_upn and self._model.server is ServerKind.ACTIVE_DIRECTORY):
            self._reader.read((*self._path, "bind", "dn"), name, read_ldap_dn)

    def _read_password(self, model: BindModel) -> Bind:
        reader, path = self._reader, (*self._path, "bind")
        has_file, has_text = reader.stands((*path, "password_file")), reader.stands((*path, "password"))
        if has_file == has_text:
            found = "both" if has_file else "neither"
            # A bind without password "succeeds", as nobody (RFC 4513 section 5.1.2).
            reader.error(path, f"expected either `password_file` or `password`, found {found}")
            return AnonymousBind()
        if has_file:
            file = reader.secret((*path, "password_file"), model.password_file)
            return AnonymousBind() if file is None else SimpleBind(dn=model.dn or "", password_file=file)
        text = model.password
        if not isinstance(text, str) or not (text.startswith("${") and text.endswith("}")):
            reader.error(
                (*path, "password"),
                "a password does not stand in this file",
                hint="`password_file`, or `password: ${VARIABLE}`",
            )
            return AnonymousBind()
        if reader.referred((*path, "password"), text) is None:
            return AnonymousBind()
        return SimpleBind(dn=model.dn or "", password_file=_password_of(text, reader.environment))

    def _read_external(self, model: BindModel, hosts: tuple[LdapHost, ...]) -> Bind:
        reader, path = self._reader, (*self._path, "bind", "external")
        assert model.external is not None
        for other in ("dn", "password", "password_file"):
            if reader.stands((*self._path, "bind", other)):
                reader.error((*self._path, "bind", other), "expected either `external` or `dn`, found both")
        for needed in ("certificate", "key"):
            reader.require((*path, needed))
        certificate = reader.existing((*path, "certificate"), model.external.certificate)
        key = reader.secret((*path, "key"), model.external.key)
        clear = [host for host in hosts if host.transport in {Transport.SOCKET, Transport.LOOPBACK}]
        if clear:
            reader.error(path, f"needs TLS, and `{shorten(clear[0].uri)}` is without", hint="`ldaps://`")
        if certificate is None or key is None:
            return AnonymousBind()
        return ExternalBind(certificate=certificate, key=key)

    def _read_tls(self, hosts: tuple[LdapHost, ...]) -> LdapTls:
        model, path = self._model.tls, (*self._path, "tls")
        ca_file = self._reader.existing((*path, "ca_file"), model.ca_file)
        if ca_file is not None:
            self._check_authorities((*path, "ca_file"), ca_file)
        encrypted = [host for host in hosts if host.transport in {Transport.TLS, Transport.START_TLS}]
        if encrypted and not self._reader.stands((*path, "ca_file")):
            how = "StartTLS" if encrypted[0].transport is Transport.START_TLS else "TLS"
            self._reader.warn(
                path,
                f"`{shorten(encrypted[0].uri)}` is spoken to over {how}, and any authority that the "
                "operating system trusts may vouch for it",
                hint="`tls: {ca_file: ...}` names the one that may",
            )
        if not model.verify_server_name:
            self._reader.warn(
                (*path, "verify_server_name"),
                "any server with a certificate of these authorities is taken for this one",
            )
        return LdapTls(
            ca_file=ca_file,
            verify_server_name=model.verify_server_name,
            minimum_version=model.minimum_version,
        )

    def _check_authorities(self, path: YamlPath, ca_file: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            self._reader.error(path, f"expected certificates (PEM): {describe_ssl_error(error)}")

    def _check_times(self) -> None:
        for key, value in (
            ("connect_timeout", self._model.connect_timeout),
            ("timeout", self._model.timeout),
        ):
            if not timedelta(0) < value <= _LONGEST_TIMEOUT:
                found = self._reader.loaded.value_at((*self._path, key))
                self._reader.error(
                    (*self._path, key), f"expected a time between `1ms` and `1m`, found `{found}`"
                )


def _password_of(text: str, environment: Mapping[str, str]) -> Callable[[], str]:
    """Return what gives a password by reference; a closure, because it must not show its environment."""

    def password() -> str:
        return expand_references(text, environment)

    return password

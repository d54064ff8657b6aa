"""From settings to domains that can be asked: opens every directory of a configuration."""

from directory_assistance.backends import open_directory, open_sql_directory
from directory_assistance.domains import DirectoryAssistance, PrimaryDomain, SecondaryDomain
from directory_assistance.settings import DirectoryAssistanceSettings, DomainSettings

__all__ = ["open_directory_assistance"]


def open_directory_assistance(settings: DirectoryAssistanceSettings) -> DirectoryAssistance:
    """Open the primary directory and every domain, disabled ones too; nothing is connected to yet."""
    primary = settings.primary
    return DirectoryAssistance(
        primary=PrimaryDomain(
            domain=primary.domain,
            directory=open_sql_directory(primary.domain, primary.directory),
            plan=primary.plan,
            size_limit=primary.size_limit,
            expansion=primary.expansion,
        ),
        domains=tuple(map(_open_domain, settings.domains)),
        ambiguity=settings.ambiguity,
    )


def _open_domain(settings: DomainSettings) -> SecondaryDomain:
    return SecondaryDomain(
        domain=settings.domain,
        directory=open_directory(settings.domain, settings.directory),
        plan=settings.plan,
        rules=settings.rules,
        enabled=settings.enabled,
        search_order=settings.search_order,
        size_limit=settings.size_limit,
        on_unavailable=settings.on_unavailable,
        may_assert_primary_names=settings.may_assert_primary_names,
        group_authorization=settings.group_authorization,
        plain_group_names=settings.plain_group_names,
        mail_domains=settings.mail_domains,
        expansion=settings.expansion,
    )

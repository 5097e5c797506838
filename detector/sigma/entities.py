"""Who and where: account, source address and source host of an event, as SQL, whatever log it is of.

`account` is who acted: at logons (and Kerberos, NTLM validation, session reconnects) the account that logged
on, elsewhere the subject. Names of fields: Microsoft's descriptions of the Security events, Sysmon's schema,
TerminalServices 21-25 (User, Address), 1149 (Param1 user, Param2 domain, Param3 address), RdpCoreTS 131
(ClientIP).
"""

from __future__ import annotations

from detector.sigma.provide import Provider

#: Security events whose Target… fields are the account that logged on.
_LOGONS = (4624, 4625, 4634, 4647, 4768, 4769, 4770, 4771, 4772, 4773, 4776, 4777, 4964)

#: (domain field, name field) of who acted, first that is filled.
_ACTORS: tuple[tuple[str, str], ...] = (
    ("SubjectDomainName", "SubjectUserName"),
    ("AccountDomain", "AccountName"),
    ("", "User"),
    ("", "SourceUser"),
    ("Param2", "Param1"),
    ("", "UserName"),
    ("", "UserContext"),
    ("", "Detection User"),
)

#: Where AccountName is not who acted: 7045 has the account that the service runs as.
_NO_ACCOUNT_NAME = frozenset({"windows_system"})

#: Names that mean nothing by themselves (param1 of 7040 is a service), and the view in which they do.
_ONLY_IN = dict.fromkeys(("Param1", "Param3"), "windows_terminalservices_remoteconnectionmanager")

_ADDRESSES = (
    "IpAddress",
    "ClientAddress",
    "SourceIp",
    "SourceAddress",
    "Address",
    "ClientIP",
    "Param3",
    "src_ip",
)
#: 10.1.2.3:50000, [2001:db8::1]:50000, [2001:db8::1]
_WITH_PORT = r"^\[?([0-9.]+|[0-9A-Fa-f:.]+(?:%[0-9A-Za-z]+)?)\]?(?::[0-9]+)?$"

_HOSTS = ("WorkstationName", "Workstation", "ClientName", "SourceHostname", "src_host")


def hit_columns(provider: Provider) -> dict[str, str]:
    """Return the SQL of the columns of `hits` that come from the event, for a view."""
    windows = provider.source.kind == "windows"
    null = "CAST(NULL AS VARCHAR)"
    return {
        "site": provider.name("site"),
        "time": provider.name("TimeCreated" if windows else "time"),
        "host": provider.name("Computer" if windows else "device"),
        "channel": provider.name("Channel") if windows else null,
        "event_id": provider.name("EventID") if windows else "CAST(NULL AS BIGINT)",
        "record_id": provider.name("EventRecordID") if windows else "CAST(NULL AS BIGINT)",
        "account": _windows_account(provider) if windows else _pair(provider, "user_domain", "user") or null,
        "src_ip": _first(
            [
                _address(provider, name)
                for name in _ADDRESSES
                if provider.has(name) and _means_it(provider, name)
            ]
        ),
        "src_host": _first([_host(provider, name) for name in _HOSTS if provider.has(name)]),
    }


def _means_it(provider: Provider, name: str) -> bool:
    return _ONLY_IN.get(name, provider.view) == provider.view


def _first(candidates: list[str]) -> str:
    return f"coalesce({', '.join(candidates)})" if candidates else "CAST(NULL AS VARCHAR)"


def _windows_account(provider: Provider) -> str:
    actors = [
        _pair(provider, domain, name)
        for domain, name in _ACTORS
        if not (name == "AccountName" and provider.view in _NO_ACCOUNT_NAME) and _means_it(provider, name)
    ]
    actor = _first([each for each in actors if each])
    target = _pair(provider, "TargetDomainName", "TargetUserName")
    if not target:
        return actor
    listed = ", ".join(str(number) for number in _LOGONS)
    return f"CASE WHEN {provider.name('EventID')} IN ({listed}) THEN {target} ELSE {actor} END"


def _pair(provider: Provider, domain: str, name: str) -> str:
    """DOMAIN\\name; '' where the view lacks the name."""
    if not provider.has(name):
        return ""
    user = _filled(provider.name(name))
    if not domain or not provider.has(domain):
        return user
    area = _filled(provider.name(domain))
    return (
        f"CASE WHEN {area} IS NULL OR contains({user}, '\\') OR contains({user}, '@') THEN {user} "
        f"ELSE {area} || '\\' || {user} END"
    )


def _filled(sql: str) -> str:
    return f"nullif(nullif({sql}, ''), '-')"


def _address(provider: Provider, name: str) -> str:
    """A canonical address without port; NULL if it is none, or says no more than 'this machine'."""
    bare = f"regexp_replace({provider.name(name)}, '{_WITH_PORT}', '\\1')"
    normal = f"ip_normal({bare})"
    return (
        f"CASE WHEN {normal} IN ('::1', '0.0.0.0', '::') OR starts_with({normal}, '127.') "
        f"THEN NULL ELSE {normal} END"
    )


def _host(provider: Provider, name: str) -> str:
    return f"nullif(ltrim({_filled(provider.name(name))}, '\\'), '')"

-- view: explicit_credentials
-- finds: a process used credentials other than those of its own session (runas, net use /user, RDP client)
-- columns: time, site, host, computer, account, account_domain, logon_id, used_account, used_domain, dst_host,
--   dst_info, src_ip, process, is_local, event_id, source, evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, SubjectUserName, SubjectDomainName, SubjectLogonId, TargetUserName, TargetDomainName, TargetServerName, TargetInfo, IpAddress, ProcessName)
-- notes: Security 4648, logged on the host that the credentials were used from. dst_host is the server they were meant
-- for, NULL if it is the host itself (is_local).
WITH raw AS (
    SELECT *, upper(split_part(Computer, '.', 1)) AS host,
        nullif(nullif(upper(split_part(ltrim(trim(TargetServerName), '\'), '.', 1)), '-'), '') AS server,
        ip_normal(TargetServerName) AS server_ip
    FROM windows_security WHERE EventID = 4648
)
SELECT TimeCreated AS time, site, host, Computer AS computer,
    nullif(nullif(lower(SubjectUserName), '-'), '') AS account,
    nullif(nullif(upper(SubjectDomainName), '-'), '') AS account_domain, lower(SubjectLogonId) AS logon_id,
    nullif(nullif(lower(split_part(split_part(TargetUserName, '@', 1), '\', -1)), '-'), '') AS used_account,
    nullif(nullif(upper(split_part(TargetDomainName, '.', 1)), '-'), '') AS used_domain,
    CASE WHEN server IS NULL OR server IN ('LOCALHOST', host) THEN NULL ELSE coalesce(server_ip, server) END AS dst_host,
    nullif(nullif(TargetInfo, '-'), '') AS dst_info, ip_normal(IpAddress) AS src_ip,
    nullif(nullif(ProcessName, '-'), '') AS process,
    coalesce(server IN ('LOCALHOST', host), true) AS is_local,
    EventID AS event_id, 'windows_security' AS source, evidence_id, evidence_offset
FROM raw

-- view: logon_attempts
-- finds: every sign that a person's or service's account went from one machine to another, wherever it was logged
-- columns: time, site, src, src_ip, src_host, host, account, account_domain, is_local_account, outcome, failure,
--   logon_type, authentication, logon_id, event_id, source, evidence_id, evidence_offset
-- needs: logons, explicit_credentials, authentications, address_owners
-- notes: Three places tell of it: the destination (logons), the source (explicit_credentials, 4648), and the
-- domain controller (4769: a ticket for the service account of the destination, NAME$). src is the host that had the
-- address, as far as known, else the address, else the name that the client gave. Machine accounts,
-- anonymous logons and accounts of Windows itself are left out.
WITH attempts AS (
    SELECT time, site, src_ip, src_host, host, account, account_domain, is_local_account, outcome, failure, logon_type,
        authentication, logon_id, event_id, source, evidence_id, evidence_offset
    FROM logons
    WHERE is_remote AND account IS NOT NULL AND NOT is_machine_account AND NOT is_anonymous AND NOT is_system
    UNION ALL
    SELECT time, site, NULL, host, dst_host, used_account, used_domain, used_domain = upper(split_part(dst_host, '.', 1)),
        'unknown', NULL, NULL, NULL, logon_id, event_id, source, evidence_id, evidence_offset
    FROM explicit_credentials
    WHERE NOT is_local AND used_account IS NOT NULL AND NOT ends_with(used_account, '$')
    UNION ALL
    SELECT time, site, src_ip, src_host, upper(rtrim(service, '$')), account, account_domain, false, 'success', NULL,
        NULL, authentication, NULL, event_id, source, evidence_id, evidence_offset
    FROM authentications
    WHERE event_id = 4769 AND outcome = 'success' AND ends_with(service, '$') AND NOT is_machine_account
      AND account IS NOT NULL AND upper(rtrim(service, '$')) <> host AND src_ip NOT IN ('::1', '127.0.0.1')
)
SELECT a.time, a.site, coalesce(o.host, a.src_ip, a.src_host) AS src, a.src_ip, coalesce(a.src_host, o.host) AS src_host,
    coalesce(d.host, a.host) AS host, a.account, a.account_domain, coalesce(a.is_local_account, false)
    AS is_local_account, a.outcome, a.failure, a.logon_type, a.authentication, a.logon_id, a.event_id, a.source,
    a.evidence_id, a.evidence_offset
FROM attempts AS a
LEFT JOIN address_owners AS o ON o.ip = a.src_ip AND o.site IS NOT DISTINCT FROM a.site
LEFT JOIN address_owners AS d ON d.ip = a.host AND d.site IS NOT DISTINCT FROM a.site
WHERE coalesce(o.host, a.src_ip, a.src_host) IS NOT NULL
  AND coalesce(o.host, a.src_ip, a.src_host) <> coalesce(d.host, a.host)

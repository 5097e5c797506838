-- view: authentications
-- finds: every check of credentials by a domain controller (or, for 4776 of a local account, by the host itself)
-- columns: time, site, host, computer, account, account_domain, is_machine_account, authentication, outcome,
--   failure, status, service, src_ip, src_port, src_host, event_id, source, evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, TargetUserName, TargetDomainName, Workstation, IpAddress, IpPort, Status, ServiceName, PackageName)
-- notes: Security 4768 (ticket-granting ticket), 4769 (service ticket), 4771 (Kerberos pre-authentication failed),
-- 4776 (NTLM). host is the one that judged. failure: Kerberos error code (RFC 4120, 7.5.9) or NTSTATUS.
WITH raw AS (
    SELECT TimeCreated AS time, site, Computer AS computer, upper(split_part(Computer, '.', 1)) AS host,
        nullif(nullif(lower(split_part(split_part(TargetUserName, '@', 1), '\', -1)), '-'), '') AS account,
        upper(split_part(coalesce(nullif(nullif(TargetDomainName, '-'), ''),
            CASE WHEN contains(TargetUserName, '\') THEN split_part(TargetUserName, '\', 1)
                 WHEN contains(TargetUserName, '@') THEN split_part(TargetUserName, '@', -1) END), '.', 1))
            AS account_domain,
        CASE WHEN EventID = 4776 THEN 'NTLM' ELSE 'Kerberos' END AS authentication,
        lower(nullif(nullif(Status, '-'), '')) AS status,
        nullif(nullif(ServiceName, '-'), '') AS service,
        ip_normal(IpAddress) AS src_ip, try_cast(IpPort AS INTEGER) AS src_port,
        nullif(nullif(upper(split_part(ltrim(trim(Workstation), '\'), '.', 1)), '-'), '') AS src_host,
        EventID AS event_id, 'windows_security' AS source, evidence_id, evidence_offset
    FROM windows_security WHERE EventID IN (4768, 4769, 4771, 4776)
)
SELECT time, site, host, computer, account, account_domain,
    coalesce(ends_with(account, '$'), false) AS is_machine_account, authentication,
    CASE WHEN event_id = 4771 THEN 'failure'
         WHEN status IS NULL OR try_cast(status AS BIGINT) = 0 THEN 'success' ELSE 'failure' END AS outcome,
    CASE WHEN event_id <> 4771 AND coalesce(try_cast(status AS BIGINT), 0) = 0 THEN NULL
         WHEN authentication = 'Kerberos' THEN
             CASE try_cast(status AS BIGINT) WHEN 24 THEN 'bad_password' WHEN 6 THEN 'no_such_user'
                  WHEN 18 THEN 'locked_out' WHEN 23 THEN 'password_expired' WHEN 37 THEN 'clock_skew'
                  ELSE 'other' END
         ELSE CASE status WHEN '0xc000006a' THEN 'bad_password' WHEN '0xc000006d' THEN 'bad_password'
                  WHEN '0xc0000064' THEN 'no_such_user' WHEN '0xc0000234' THEN 'locked_out'
                  WHEN '0xc0000072' THEN 'disabled' WHEN '0xc0000193' THEN 'expired'
                  WHEN '0xc0000071' THEN 'password_expired' ELSE 'other' END END AS failure,
    status, service, src_ip, CASE WHEN src_port > 0 THEN src_port END AS src_port, src_host, event_id, source,
    evidence_id, evidence_offset
FROM raw

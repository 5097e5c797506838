-- view: logons
-- finds: every logon to a host, successful or not, on the host where it happened
-- columns: time, site, host, computer, account, account_domain, account_sid, logon_type, authentication, outcome,
--   failure, status, sub_status, src_ip, src_port, src_host, is_remote, logon_id, process, logon_process,
--   is_machine_account, is_local_account, is_anonymous, is_system, elevated, event_id, source, evidence_id,
--   evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, TargetUserName, TargetDomainName, TargetUserSid, TargetLogonId, LogonType, AuthenticationPackageName, LmPackageName, LogonProcessName, WorkstationName, IpAddress, IpPort, ProcessName, Status, SubStatus, ElevatedToken)
-- needs: windows_terminalservices_localsessionmanager(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, User, SessionID, Address)
-- needs: windows_terminalservices_remoteconnectionmanager(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, Param1, Param2, Param3)
-- notes: Security 4624 / 4625; TerminalServices 21, 25 (session began, was taken up again) and 1149 (credentials
-- accepted before the session), which often reach further back than a Security log that has been overwritten.
-- host, src_host: first label of the name, upper case. account: without domain, lower case. src_host is what the
-- client called itself, NULL where it names the host itself (types 2 and 10 do). failure: what the NTSTATUS in
-- SubStatus, or Status, means ([MS-ERREF] 2.3.1). is_remote: it came over the network from another address.
WITH raw AS (
    SELECT TimeCreated AS time, site, Computer AS computer, TargetUserName AS user_name,
        TargetDomainName AS domain_name, nullif(nullif(TargetUserSid, '-'), '') AS account_sid,
        try_cast(LogonType AS INTEGER) AS logon_type,
        CASE WHEN upper(AuthenticationPackageName) LIKE 'NTLM%' OR upper(LmPackageName) LIKE 'NTLM%'
                  OR upper(LmPackageName) = 'LM' THEN 'NTLM'
             ELSE nullif(nullif(trim(AuthenticationPackageName), '-'), '') END AS authentication,
        CASE WHEN EventID = 4624 THEN 'success' ELSE 'failure' END AS outcome,
        lower(nullif(nullif(Status, '-'), '')) AS status, lower(nullif(nullif(SubStatus, '-'), '')) AS sub_status,
        ip_normal(IpAddress) AS src_ip, try_cast(IpPort AS INTEGER) AS src_port,
        WorkstationName AS workstation, lower(nullif(nullif(TargetLogonId, '-'), '')) AS logon_id,
        nullif(nullif(ProcessName, '-'), '') AS process, nullif(trim(LogonProcessName), '-') AS logon_process,
        ElevatedToken = '%%1842' AS elevated, EventID AS event_id, 'windows_security' AS source,
        evidence_id, evidence_offset
    FROM windows_security WHERE EventID IN (4624, 4625)
    UNION ALL
    SELECT TimeCreated, site, Computer, "User", NULL, NULL, 10, NULL, 'success', NULL, NULL,
        ip_normal(Address), NULL, NULL, NULL, NULL, NULL, NULL, EventID,
        'windows_terminalservices_localsessionmanager', evidence_id, evidence_offset
    FROM windows_terminalservices_localsessionmanager
    WHERE EventID IN (21, 25) AND ip_normal(Address) IS NOT NULL
    UNION ALL
    SELECT TimeCreated, site, Computer, Param1, Param2, NULL, 10, NULL, 'success', NULL, NULL,
        ip_normal(Param3), NULL, NULL, NULL, NULL, NULL, NULL, EventID,
        'windows_terminalservices_remoteconnectionmanager', evidence_id, evidence_offset
    FROM windows_terminalservices_remoteconnectionmanager
    WHERE EventID = 1149 AND nullif(nullif(Param1, '-'), '') IS NOT NULL
), named AS (
    SELECT *, upper(split_part(computer, '.', 1)) AS host,
        nullif(nullif(lower(split_part(split_part(user_name, '@', 1), '\', -1)), '-'), '') AS account,
        upper(split_part(coalesce(
            nullif(nullif(domain_name, '-'), ''),
            CASE WHEN contains(user_name, '\') THEN split_part(user_name, '\', 1)
                 WHEN contains(user_name, '@') THEN split_part(user_name, '@', -1) END), '.', 1)) AS account_domain,
        nullif(nullif(upper(split_part(ltrim(trim(workstation), '\'), '.', 1)), '-'), '') AS client
    FROM raw
)
SELECT time, site, host, computer, account, account_domain, account_sid, logon_type, authentication, outcome,
    CASE WHEN outcome = 'success' THEN NULL
         ELSE CASE CASE WHEN sub_status IS NULL OR sub_status IN ('0x0', '0x00000000') THEN status ELSE sub_status END
              WHEN '0xc000006a' THEN 'bad_password' WHEN '0xc000006d' THEN 'bad_password'
              WHEN '0xc0000064' THEN 'no_such_user' WHEN '0xc0000234' THEN 'locked_out'
              WHEN '0xc0000072' THEN 'disabled' WHEN '0xc0000193' THEN 'expired'
              WHEN '0xc0000071' THEN 'password_expired' WHEN '0xc0000224' THEN 'password_must_change'
              WHEN '0xc000006e' THEN 'restricted' WHEN '0xc000006f' THEN 'restricted'
              WHEN '0xc0000070' THEN 'restricted' WHEN '0xc000015b' THEN 'not_granted'
              WHEN '0xc0000133' THEN 'clock_skew' WHEN '0xc0000413' THEN 'restricted'
              ELSE 'other' END END AS failure,
    status, sub_status, src_ip, CASE WHEN src_port > 0 THEN src_port END AS src_port,
    CASE WHEN client <> host THEN client END AS src_host,
    coalesce(logon_type, 3) IN (3, 8, 10)
        AND CASE WHEN src_ip IS NULL THEN coalesce(client <> host, false)
                 ELSE NOT ip_in_network(src_ip, '127.0.0.0/8') AND src_ip NOT IN ('::1', '0.0.0.0', '::') END
        AS is_remote,
    logon_id, process, logon_process,
    coalesce(ends_with(account, '$'), false) AS is_machine_account,
    coalesce(account_domain IN (host, '.'), false) AS is_local_account,
    coalesce(account_sid = 'S-1-5-7' OR account = 'anonymous logon', false) AS is_anonymous,
    coalesce(account_sid IN ('S-1-5-18', 'S-1-5-19', 'S-1-5-20') OR starts_with(account_sid, 'S-1-5-90-')
        OR starts_with(account_sid, 'S-1-5-96-')
        OR account_domain IN ('NT AUTHORITY', 'WINDOW MANAGER', 'FONT DRIVER HOST', 'NT SERVICE'), false) AS is_system,
    elevated, event_id, source, evidence_id, evidence_offset
FROM named

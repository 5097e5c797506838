-- view: remote_desktop_sessions
-- finds: every sign of remote desktop on the host that was reached, whatever wrote it
-- columns: time, site, host, computer, phase, account, account_domain, src_ip, src_port, src_host, logon_id,
--   session_id, event_id, source, evidence_id, evidence_offset
-- needs: logons
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, AccountName, AccountDomain, LogonID, SessionName, ClientName, ClientAddress)
-- needs: windows_terminalservices_localsessionmanager(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, User, SessionID, Address)
-- needs: windows_remotedesktopservices_rdpcorets(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, ConnType, ClientIP)
-- notes: phase: connection (RdpCoreTS 131: a TCP or UDP connection, nobody has logged on yet), logon (4624 type 10,
-- TerminalServices 1149 / 21), failure (4625 type 10), reconnect (4778, 4624 type 7 from another address, 25),
-- disconnect (4779, 24), logoff (23). With Network Level Authentication a 4624 of type 3 comes before; it is in
-- logons only, since type 3 alone does not say remote desktop.
SELECT time, site, host, computer,
    CASE WHEN outcome = 'failure' THEN 'failure' WHEN event_id = 25 OR logon_type = 7 THEN 'reconnect'
         ELSE 'logon' END AS phase,
    account, account_domain, src_ip, src_port, src_host, logon_id, NULL::VARCHAR AS session_id, event_id, source,
    evidence_id, evidence_offset
FROM logons
WHERE logon_type = 10
   OR (logon_type = 7 AND src_ip IS NOT NULL AND NOT ip_in_network(src_ip, '127.0.0.0/8')
       AND src_ip NOT IN ('::1', '0.0.0.0', '::'))
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer,
    CASE EventID WHEN 4778 THEN 'reconnect' ELSE 'disconnect' END,
    lower(nullif(nullif(AccountName, '-'), '')), upper(nullif(nullif(AccountDomain, '-'), '')),
    ip_normal(ClientAddress), NULL, upper(split_part(nullif(nullif(ClientName, '-'), ''), '.', 1)), lower(LogonID),
    SessionName, EventID, 'windows_security', evidence_id, evidence_offset
FROM windows_security
WHERE EventID IN (4778, 4779) AND (ip_normal(ClientAddress) IS NOT NULL OR upper(SessionName) LIKE 'RDP-%')
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer,
    CASE EventID WHEN 24 THEN 'disconnect' ELSE 'logoff' END,
    lower(split_part(split_part("User", '@', 1), '\', -1)),
    CASE WHEN contains("User", '\') THEN upper(split_part("User", '\', 1)) END,
    ip_normal(Address), NULL, NULL, NULL, SessionID, EventID, 'windows_terminalservices_localsessionmanager',
    evidence_id, evidence_offset
FROM windows_terminalservices_localsessionmanager
WHERE EventID = 23 OR (EventID = 24 AND ip_normal(Address) IS NOT NULL)
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, 'connection', NULL, NULL,
    ip_normal(regexp_replace(regexp_replace(ClientIP, ':\d+$', ''), '[\[\]]', '', 'g')),
    try_cast(regexp_extract(ClientIP, ':(\d+)$', 1) AS INTEGER), NULL, NULL, NULL, EventID,
    'windows_remotedesktopservices_rdpcorets', evidence_id, evidence_offset
FROM windows_remotedesktopservices_rdpcorets
WHERE EventID = 131

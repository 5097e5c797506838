-- view: remote_access
-- finds: every line by which something that lets people in from outside speaks of a user: VPN appliances, Windows
--   Routing and Remote Access, Network Policy Server, Remote Desktop Gateway
-- columns: time, site, device, kind, account, account_domain, account_original, outcome, src_ip, src_country,
--   assigned_ip, target, vpn_type, client, session_id, duration, bytes_sent, bytes_received, reason, event_id, source,
--   evidence_id, evidence_offset
-- needs: vpn(site, evidence_id, evidence_offset, time, device, event_type, event_id, outcome, user, user_domain, user_original, src_ip, src_country, assigned_ip, vpn_type, client, session_id, duration, bytes_sent, bytes_received, reason)
-- needs: windows_system(site, evidence_id, evidence_offset, TimeCreated, EventID, Provider_Name, Computer, Data)
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, SubjectUserName, SubjectDomainName, FullyQualifiedSubjectUserName, CallingStationID, ClientName, AccountSessionIdentifier, Reason, ReasonCode)
-- needs: windows_terminalservices_gateway(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, Username, IpAddress, Resource, BytesReceived, BytesTransfered, SessionDuration, ConnectionProtocol, ErrorCode, Correlation_ActivityID)
-- notes: kind: authentication, session_start, session_end (event_type of the table vpn). bytes_sent: by the user's side.
-- Routing and Remote Access (System, provider RemoteAccess; its values have no names, one or two ids stand first):
-- 20250 credentials accepted, 20271 refused (with the caller's address), 20274 address assigned, 20272 ended (minutes,
-- seconds, bytes sent and received by the server), 20275 the address is free. Network Policy Server (Security 6272,
-- 6273): only callers that are addresses, since a MAC is a network port or a radio; device is the RADIUS client; left out
-- where the appliance itself logged a line of that user within two minutes. Remote Desktop Gateway: 302 connected to
-- target, 303 / 202 / 307 ended, 201 / 301 / 304 refused. 312 and 313 name nobody who was checked, and are no line here.
WITH ras AS (
    SELECT *, list_filter(string_split(coalesce(Data, ''), chr(10)),
            lambda each: NOT regexp_matches(each, '\{[^}]*\}') AND trim(each) <> 'NA') AS part,
        nullif(regexp_extract(Data, '(?s)^.*(\{[^}\n]*\})', 1), '{NA}') AS tunnel
    FROM windows_system
    WHERE Provider_Name = 'RemoteAccess' AND EventID IN (20250, 20271, 20272, 20274, 20275)
), nps AS (
    SELECT *, account_name(SubjectUserName) AS account,
        coalesce(nullif(upper(split_part(nullif(SubjectDomainName, '-'), '.', 1)), ''), account_domain(SubjectUserName))
            AS domain
    FROM windows_security WHERE EventID IN (6272, 6273) AND ip_normal(CallingStationID) IS NOT NULL
), gateway AS (
    SELECT *, coalesce(ip_normal(IpAddress), ip_normal(regexp_replace(IpAddress, ':\d+$', ''))) AS ip
    FROM windows_terminalservices_gateway WHERE EventID IN (201, 202, 301, 302, 303, 304, 307)
)
SELECT time, site, device, event_type AS kind, account_name("user") AS account,
    coalesce(upper(split_part(nullif(user_domain, ''), '.', 1)), account_domain("user"), account_domain(user_original))
        AS account_domain,
    coalesce(user_original, "user") AS account_original,
    CASE WHEN outcome IN ('success', 'failure') THEN outcome WHEN event_type = 'session_start' THEN 'success'
         ELSE 'unknown' END AS outcome,
    src_ip, src_country, assigned_ip, NULL::VARCHAR AS target, vpn_type, client, session_id, duration, bytes_sent,
    bytes_received, reason, event_id, 'vpn' AS source, evidence_id, evidence_offset
FROM vpn WHERE event_type IN ('authentication', 'session_start', 'session_end')
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)),
    CASE WHEN EventID IN (20250, 20271) THEN 'authentication' WHEN EventID = 20274 THEN 'session_start'
         ELSE 'session_end' END,
    CASE WHEN EventID <> 20275 THEN account_name(part[1]) END,
    CASE WHEN EventID <> 20275 THEN account_domain(part[1]) END, CASE WHEN EventID <> 20275 THEN part[1] END,
    CASE WHEN EventID = 20271 THEN 'failure' ELSE 'success' END,
    CASE WHEN EventID = 20271 THEN ip_normal(part[2]) END, NULL,
    CASE EventID WHEN 20274 THEN ip_normal(part[3]) WHEN 20275 THEN ip_normal(part[1]) END, NULL,
    CASE WHEN EventID = 20272 THEN nullif(trim(part[12]), '') END, NULL, tunnel,
    CASE WHEN EventID = 20272 THEN 60.0 * try_cast(part[7] AS BIGINT) + try_cast(part[8] AS BIGINT) END,
    CASE WHEN EventID = 20272 THEN try_cast(part[10] AS BIGINT) END,
    CASE WHEN EventID = 20272 THEN try_cast(part[9] AS BIGINT) END,
    CASE EventID WHEN 20271 THEN part[3] WHEN 20272 THEN part[11] END, CAST(EventID AS VARCHAR), 'windows_system',
    evidence_id, evidence_offset
FROM ras
UNION ALL
SELECT TimeCreated, site, coalesce(nullif(nullif(ClientName, '-'), ''), upper(split_part(Computer, '.', 1))),
    'authentication', account, domain, coalesce(nullif(FullyQualifiedSubjectUserName, '-'), SubjectUserName),
    CASE WHEN EventID = 6272 THEN 'success' ELSE 'failure' END, ip_normal(CallingStationID), NULL, NULL, NULL, NULL,
    NULL, nullif(nullif(AccountSessionIdentifier, '-'), ''), NULL, NULL, NULL,
    CASE WHEN EventID = 6273 THEN coalesce(nullif(Reason, ''), ReasonCode) END, CAST(EventID AS VARCHAR),
    'windows_security', evidence_id, evidence_offset
FROM nps AS n
WHERE NOT EXISTS (
    SELECT 1 FROM vpn AS v WHERE account_name(v."user") = n.account AND v.site IS NOT DISTINCT FROM n.site
        AND v.time BETWEEN n.TimeCreated - INTERVAL 2 MINUTE AND n.TimeCreated + INTERVAL 2 MINUTE)
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)),
    CASE WHEN EventID = 302 THEN 'session_start' WHEN EventID IN (201, 301, 304) THEN 'authentication'
         ELSE 'session_end' END,
    account_name(Username), account_domain(Username), Username,
    CASE WHEN EventID IN (201, 301, 304) THEN 'failure' ELSE 'success' END, ip, NULL, NULL,
    nullif(nullif(Resource, ''), '-'), 'rdp gateway', NULL,
    -- One activity is one way through the gateway, but the same user can open several targets through it.
    nullif(concat_ws('/', nullif(Correlation_ActivityID, ''), nullif(Resource, '')), ''),
    try_cast(SessionDuration AS DOUBLE), try_cast(BytesTransfered AS BIGINT), try_cast(BytesReceived AS BIGINT),
    CASE WHEN EventID <> 302 AND ErrorCode <> '0' THEN ErrorCode END, CAST(EventID AS VARCHAR),
    'windows_terminalservices_gateway', evidence_id, evidence_offset
FROM gateway

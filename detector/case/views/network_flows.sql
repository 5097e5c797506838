-- view: network_flows
-- finds: connections allowed or refused, as a firewall or the host itself saw them
-- columns: time, site, host, src_ip, src_port, src_host, dst_ip, dst_port, dst_host, protocol, action, direction,
--   process, account, duration, bytes_sent, bytes_received, application, rule_name, src_nat_ip, src_nat_port, dst_nat_ip,
--   dst_nat_port, event_id, source, evidence_id, evidence_offset
-- needs: firewall(site, evidence_id, evidence_offset, time, device, event_type, event_id, action, user, src_ip, src_port, src_host, dst_ip, dst_port, dst_host, protocol, direction, duration, bytes_sent, bytes_received, application, rule_name, src_nat_ip, src_nat_port, dst_nat_ip, dst_nat_port)
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, Application, Direction, SourceAddress, SourcePort, DestAddress, DestPort, Protocol)
-- needs: windows_sysmon(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, Image, User, Protocol, Initiated, SourceIp, SourcePort, SourceHostname, DestinationIp, DestinationPort, DestinationHostname)
-- notes: Zeek's conn.log comes in through the firewall table, as all that watches a network does. host is who logged it (the firewall's name, or the Windows host). src is who opened the connection. Windows is
-- not of one mind there: an inbound 5156 or 5157 has the local end as Source in Windows 7 and 2008 R2 (as
-- Microsoft's page says) but the remote end in later ones, and Sysmon 3 writes some answers as connections. So
-- an inbound one from a low port to a dynamic port (49152 and up) is turned round.
SELECT time, site, upper(split_part(device, '.', 1)) AS host, src_ip, src_port, upper(src_host) AS src_host, dst_ip,
    dst_port, upper(dst_host) AS dst_host, protocol, CASE WHEN action IN ('deny', 'drop', 'reset') THEN 'deny'
         ELSE 'allow' END AS action,
    direction, NULL::VARCHAR AS process, account_name("user") AS account, duration, bytes_sent, bytes_received,
    application, rule_name, src_nat_ip, src_nat_port, dst_nat_ip, dst_nat_port, event_id, 'firewall' AS source, evidence_id, evidence_offset
FROM firewall WHERE event_type = 'traffic'
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)),
    ip_normal(CASE WHEN answered THEN DestAddress ELSE SourceAddress END),
    try_cast(CASE WHEN answered THEN DestPort ELSE SourcePort END AS BIGINT),
    CASE WHEN Direction = '%%14593' THEN upper(split_part(Computer, '.', 1)) END,
    ip_normal(CASE WHEN answered THEN SourceAddress ELSE DestAddress END),
    try_cast(CASE WHEN answered THEN SourcePort ELSE DestPort END AS BIGINT),
    CASE WHEN Direction = '%%14592' THEN upper(split_part(Computer, '.', 1)) END,
    CASE Protocol WHEN '6' THEN 'tcp' WHEN '17' THEN 'udp' WHEN '1' THEN 'icmp' WHEN '58' THEN 'icmp'
         ELSE Protocol END,
    CASE WHEN EventID IN (5152, 5157) THEN 'deny' ELSE 'allow' END,
    CASE Direction WHEN '%%14592' THEN 'inbound' WHEN '%%14593' THEN 'outbound' END, Application, NULL, NULL, NULL,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, CAST(EventID AS VARCHAR), 'windows_security', evidence_id, evidence_offset
FROM (SELECT *, Direction = '%%14592' AND try_cast(SourcePort AS INTEGER) < 49152
          AND try_cast(DestPort AS INTEGER) >= 49152 AS answered
      FROM windows_security WHERE EventID IN (5152, 5156, 5157))
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)),
    ip_normal(CASE WHEN answered THEN DestinationIp ELSE SourceIp END),
    try_cast(CASE WHEN answered THEN DestinationPort ELSE SourcePort END AS BIGINT),
    CASE WHEN Initiated = 'true' THEN upper(split_part(Computer, '.', 1))
         WHEN answered THEN nullif(upper(split_part(DestinationHostname, '.', 1)), '')
         ELSE nullif(upper(split_part(SourceHostname, '.', 1)), '') END,
    ip_normal(CASE WHEN answered THEN SourceIp ELSE DestinationIp END),
    try_cast(CASE WHEN answered THEN SourcePort ELSE DestinationPort END AS BIGINT),
    CASE WHEN Initiated = 'true' THEN nullif(upper(split_part(DestinationHostname, '.', 1)), '')
         ELSE upper(split_part(Computer, '.', 1)) END,
    lower(Protocol), 'allow', CASE WHEN Initiated = 'true' THEN 'outbound' ELSE 'inbound' END, Image,
    account_name("User"), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, CAST(EventID AS VARCHAR),
    'windows_sysmon', evidence_id, evidence_offset
FROM (SELECT *, Initiated = 'false' AND try_cast(SourcePort AS INTEGER) < 49152
          AND try_cast(DestinationPort AS INTEGER) >= 49152 AS answered
      FROM windows_sysmon WHERE EventID = 3)

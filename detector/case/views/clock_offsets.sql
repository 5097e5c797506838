-- view: clock_offsets
-- finds: by how much the clock of one host or device runs ahead of another's, from events that must coincide
-- columns: site, host, reference, basis, pairs, offset_seconds, spread_seconds, first_seen, last_seen
-- needs: logons, network_flows, address_owners
-- needs: windows_security(site, TimeCreated, EventID, Computer, LogonGuid, SubjectUserName, CallingStationID)
-- needs: vpn(site, time, device, event_type, user, src_ip)
-- notes: offset_seconds: median of (time of host - time of reference), positive where host is ahead; spread_seconds: the
-- middle half of the differences lies within it. basis: ticket (the logon GUID of a Kerberos service ticket, 4769 on
-- the domain controller, in the first 4624 on the member; a 4648 on the client is told by the same GUID), port (one
-- connection by both addresses and the source port: firewall or client's Sysmon 3 / 5156, and the server's 4624 or
-- its own record of the connection), radius (a VPN login on the appliance and the policy server's 6272 / 6273). Pairs
-- farther apart than a day are not looked for; a port used again within that is paired with the nearest.
WITH guids AS (
    SELECT site, TimeCreated AS time, EventID, upper(split_part(Computer, '.', 1)) AS host, lower(LogonGuid) AS guid
    FROM windows_security
    WHERE EventID IN (4624, 4648, 4769) AND LogonGuid IS NOT NULL AND length(LogonGuid) >= 36
      AND NOT regexp_full_match(LogonGuid, '[{}0-]*')
), tickets AS (
    SELECT g.site, g.guid, g.host, g.EventID, min(g.time) AS time FROM guids AS g GROUP BY ALL
), ticket_pairs AS (
    SELECT m.site, m.host, d.host AS reference, 'ticket' AS basis, m.time, epoch(m.time - d.time) AS apart
    FROM tickets AS m JOIN tickets AS d ON d.guid = m.guid AND d.site IS NOT DISTINCT FROM m.site AND d.EventID = 4769
        AND d.host <> m.host
    WHERE m.EventID IN (4624, 4648)
    UNION ALL
    -- Where the controller's log is missing, client and server still have the GUID in common.
    SELECT m.site, m.host, c.host, 'ticket', m.time, epoch(m.time - c.time)
    FROM tickets AS m JOIN tickets AS c ON c.guid = m.guid AND c.site IS NOT DISTINCT FROM m.site AND c.EventID = 4648
        AND c.host <> m.host
    WHERE m.EventID = 4624
), ends AS (
    SELECT site, time, host, src_ip, src_port, dst_ip, dst_port, source = 'firewall' AS is_device,
        coalesce(host = src_host, false) AS is_client
    FROM network_flows
    WHERE src_port > 0 AND src_ip IS NOT NULL AND dst_ip IS NOT NULL AND action = 'allow' AND host IS NOT NULL
), wire AS (
    SELECT e.site, e.time, e.host, e.src_ip, e.src_port, coalesce(o.host, e.dst_ip) AS server
    FROM ends AS e LEFT JOIN address_owners AS o ON o.ip = e.dst_ip AND o.site IS NOT DISTINCT FROM e.site
    WHERE is_device OR is_client
), served AS (
    SELECT site, time, host, src_ip, src_port FROM logons
    WHERE src_port > 0 AND src_ip IS NOT NULL AND event_id = 4624
    UNION ALL
    SELECT site, time, host, src_ip, src_port FROM ends WHERE NOT is_device AND NOT is_client
), port_pairs AS (
    SELECT s.site, s.host, w.host AS reference, 'port' AS basis, s.time, epoch(s.time - w.time) AS apart
    FROM served AS s JOIN wire AS w ON w.src_ip = s.src_ip AND w.src_port = s.src_port AND w.server = s.host
        AND w.site IS NOT DISTINCT FROM s.site AND w.host <> s.host
        AND s.time BETWEEN w.time - INTERVAL 1 DAY AND w.time + INTERVAL 1 DAY
    QUALIFY row_number() OVER (PARTITION BY w.site, w.host, w.time, w.src_ip, w.src_port, s.host
            ORDER BY abs(epoch(s.time - w.time)), s.time) = 1
        AND row_number() OVER (PARTITION BY s.site, s.host, s.time, s.src_ip, s.src_port, w.host
            ORDER BY abs(epoch(s.time - w.time)), w.time) = 1
), radius_pairs AS (
    SELECT v.site, upper(split_part(v.device, '.', 1)) AS host, upper(split_part(n.Computer, '.', 1)) AS reference,
        'radius' AS basis, v.time, epoch(v.time - n.TimeCreated) AS apart
    FROM vpn AS v JOIN windows_security AS n ON n.EventID IN (6272, 6273)
        AND account_name(n.SubjectUserName) = account_name(v."user") AND ip_normal(n.CallingStationID) = v.src_ip
        AND n.site IS NOT DISTINCT FROM v.site
        AND n.TimeCreated BETWEEN v.time - INTERVAL 1 DAY AND v.time + INTERVAL 1 DAY
    WHERE v.event_type IN ('authentication', 'session_start') AND v.device IS NOT NULL
    QUALIFY row_number() OVER (PARTITION BY n.site, n.Computer, n.TimeCreated, v.device
            ORDER BY abs(epoch(v.time - n.TimeCreated)), v.time) = 1
        AND row_number() OVER (PARTITION BY v.site, v.device, v.time, n.Computer
            ORDER BY abs(epoch(v.time - n.TimeCreated)), n.TimeCreated) = 1
), pairs AS (
    SELECT * FROM ticket_pairs WHERE abs(apart) <= 86400
    UNION ALL SELECT * FROM port_pairs
    UNION ALL SELECT * FROM radius_pairs
)
SELECT site, host, reference, basis, count(*) AS pairs, round(median(apart), 3) AS offset_seconds,
    round(quantile_cont(apart, 0.75) - quantile_cont(apart, 0.25), 3) AS spread_seconds, min(time) AS first_seen,
    max(time) AS last_seen
FROM pairs GROUP BY site, host, reference, basis

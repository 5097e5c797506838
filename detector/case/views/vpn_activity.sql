-- view: vpn_activity
-- finds: what was done from an address while a VPN session held it, and so by that session's user
-- columns: time, site, vpn_account, vpn_device, vpn_src_ip, vpn_started, vpn_ended, assigned_ip, via, certain, kind, host,
--   dst_ip, dst_port, account, account_domain, same_account, outcome, src_ip, src_port, event_id, source, evidence_id,
--   evidence_offset, vpn_evidence_id, vpn_evidence_offset
-- needs: vpn_sessions, network_flows, logons, remote_desktop_sessions, authentications, address_owners
-- notes: kind: flow (firewall, Zeek, Sysmon 3, Security 5156), logon (4624, 4625, TerminalServices 21, 25, 1149), remote_desktop
-- (4778, 4779, 24, RdpCoreTS 131), authentication (4768, 4769, 4771). A session holds its address until its end, where
-- none is logged until the address is given to somebody else, at most a day. Clocks may differ: up to five minutes before
-- and after count too, where no other session held the address then; certain is false for those, for sessions without a
-- logged end, and for NAT by destination only. via: assigned, or nat: a firewall translated the assigned address, and the
-- line names the translated one with the same port, or, where it names no port, comes within five minutes of a flow to that
-- host that only one session had. same_account: the account used inside is the user of the VPN, whatever the spelling.
WITH held AS (
    SELECT *, started AS begins, coalesce(ended, least(
            coalesce(lead(started) OVER (PARTITION BY site, assigned_ip ORDER BY started, evidence_id, evidence_offset),
                started + INTERVAL 1 DAY),
            started + INTERVAL 1 DAY)) AS ends
    FROM vpn_sessions WHERE assigned_ip IS NOT NULL AND started IS NOT NULL
), pool AS (
    SELECT DISTINCT site, assigned_ip AS ip FROM held
), doings AS (
    SELECT time, site, 'flow' AS kind, host, dst_ip, dst_port, account, NULL::VARCHAR AS account_domain,
        CASE action WHEN 'deny' THEN 'failure' ELSE 'success' END AS outcome, src_ip, src_port, event_id, source,
        evidence_id, evidence_offset
    FROM network_flows WHERE src_ip IS NOT NULL
    UNION ALL
    SELECT time, site, 'logon', host, NULL, NULL, account, account_domain, outcome, src_ip, src_port,
        CAST(event_id AS VARCHAR), source, evidence_id, evidence_offset
    FROM logons WHERE src_ip IS NOT NULL
    UNION ALL
    SELECT time, site, 'remote_desktop', host, NULL, 3389, account, account_domain, 'success', src_ip, src_port,
        CAST(event_id AS VARCHAR), source, evidence_id, evidence_offset
    FROM remote_desktop_sessions WHERE src_ip IS NOT NULL AND event_id IN (24, 131, 4778, 4779)
    UNION ALL
    SELECT time, site, 'authentication', host, NULL, NULL, account, account_domain, outcome, src_ip, src_port,
        CAST(event_id AS VARCHAR), source, evidence_id, evidence_offset
    FROM authentications WHERE src_ip IS NOT NULL
), direct AS (
    SELECT d.*, 'assigned' AS via, d.src_ip AS inner_ip, true AS exact
    FROM doings AS d SEMI JOIN pool AS p ON p.ip = d.src_ip AND p.site IS NOT DISTINCT FROM d.site
), translated AS (
    SELECT f.time, f.site, f.src_ip AS inner_ip, f.src_nat_ip, f.src_nat_port, f.dst_ip, f.dst_port, o.host
    FROM network_flows AS f
    SEMI JOIN pool AS p ON p.ip = f.src_ip AND p.site IS NOT DISTINCT FROM f.site
    LEFT JOIN address_owners AS o ON o.ip = f.dst_ip AND o.site IS NOT DISTINCT FROM f.site
    WHERE f.src_nat_ip IS NOT NULL AND f.src_nat_ip <> f.src_ip AND f.action = 'allow'
), behind AS (
    SELECT d.*, 'nat' AS via, t.inner_ip, coalesce(d.src_port = t.src_nat_port, false) AS exact,
        count(DISTINCT t.inner_ip) OVER (PARTITION BY d.source, d.evidence_id, d.evidence_offset,
            coalesce(d.src_port = t.src_nat_port, false)) AS candidates
    FROM doings AS d JOIN translated AS t ON t.src_nat_ip = d.src_ip AND t.site IS NOT DISTINCT FROM d.site
        AND d.time BETWEEN t.time - INTERVAL 5 MINUTE AND t.time + INTERVAL 5 MINUTE
        AND CASE WHEN d.src_port IS NOT NULL AND t.src_nat_port IS NOT NULL THEN d.src_port = t.src_nat_port
                 ELSE coalesce(d.dst_ip = t.dst_ip, d.host = t.host) END
), seen AS (
    SELECT * FROM direct
    UNION ALL
    SELECT * EXCLUDE (candidates) FROM behind WHERE candidates = 1
)
SELECT s.time, s.site, h.account AS vpn_account, h.device AS vpn_device, h.src_ip AS vpn_src_ip, h.started AS vpn_started,
    h.ended AS vpn_ended, h.assigned_ip, s.via,
    s.exact AND h.state = 'closed' AND s.time BETWEEN h.begins AND h.ends AS certain, s.kind, s.host, s.dst_ip, s.dst_port,
    s.account, s.account_domain, s.account = h.account AS same_account, s.outcome, s.src_ip, s.src_port, s.event_id,
    s.source, s.evidence_id, s.evidence_offset, h.evidence_id AS vpn_evidence_id,
    h.evidence_offset AS vpn_evidence_offset
FROM seen AS s JOIN held AS h ON h.assigned_ip = s.inner_ip AND h.site IS NOT DISTINCT FROM s.site
    AND s.time BETWEEN h.begins - INTERVAL 5 MINUTE AND h.ends + INTERVAL 5 MINUTE
QUALIFY row_number() OVER (PARTITION BY s.source, s.kind, s.evidence_id, s.evidence_offset ORDER BY
    s.time BETWEEN h.begins AND h.ends DESC, s.exact DESC,
    least(abs(epoch(s.time - h.begins)), abs(epoch(s.time - h.ends))), h.evidence_id, h.evidence_offset) = 1

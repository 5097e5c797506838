-- stage: remote_desktop_tunnel
-- step: remote_desktop
-- techniques: T1572, T1090, T1021.001
-- level: high
-- finds: remote desktop that arrives from the host itself, as it does through a tunnel, and forwarding set up to port 3389
-- blind: needs the Security or TerminalServices logs of the host, or its Sysmon or process auditing
-- needs: remote_desktop_sessions, network_flows, processes
-- parameter: gap_minutes = 60 signs that follow each other this closely are one tunnel
WITH signs AS (
    SELECT time, site, host, 'session' AS kind, account, account_domain, src_ip AS detail, evidence_id, evidence_offset
    FROM remote_desktop_sessions
    WHERE phase IN ('logon', 'reconnect', 'connection')
      AND (ip_in_network(src_ip, '127.0.0.0/8') OR src_ip = '::1')
    UNION ALL
    SELECT time, site, host, 'flow', account, NULL, process, evidence_id, evidence_offset
    FROM network_flows
    WHERE dst_port = 3389 AND source <> 'firewall' AND direction = 'outbound'
      AND (ip_in_network(dst_ip, '127.0.0.0/8') OR dst_ip = '::1')
      AND NOT ends_with(lower(process), '\mstsc.exe')
    UNION ALL
    SELECT time, site, host, 'command', account, account_domain, command_line, evidence_id, evidence_offset
    FROM processes
    WHERE regexp_matches(lower(command_line), '(plink|ssh|putty|chisel|ngrok|socat|frpc|gost|ligolo).*3389|portproxy\s+add.*3389')
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM signs WINDOW w AS (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
)
SELECT site, min(time) AS first_seen, max(time) AS last_seen, host, [host] AS hosts,
    min(concat_ws('\', account_domain, account)) FILTER (account IS NOT NULL) AS account,
    list(DISTINCT account) AS accounts, least(0.95, 0.6 + 0.15 * count(DISTINCT kind)) AS confidence,
    MAP {'kinds': array_to_string(list_sort(list(DISTINCT kind)), ', '),
         'process': min(detail) FILTER (kind = 'flow'), 'command': min(detail) FILTER (kind = 'command')} AS details,
    list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
         ORDER BY time, evidence_id, evidence_offset) AS events
FROM numbered GROUP BY site, host, burst

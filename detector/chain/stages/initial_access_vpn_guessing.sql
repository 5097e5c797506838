-- stage: initial_access_vpn_guessing
-- step: initial_access
-- techniques: T1110, T1133
-- level: low
-- finds: many failed logins to a VPN appliance or to its administration from one address
-- blind: needs the log of the VPN appliance or firewall
-- needs: vpn_logins
-- parameter: gap_minutes = 60 guessing from the Internet is slow to stay below lockouts
-- parameter: failures = 10 as in discovery_password_guessing
-- parameter: accounts = 5 different names from one address, which are not one person's typing errors
WITH marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM vpn_logins WHERE outcome = 'failure' AND src_ip IS NOT NULL
    WINDOW w AS (PARTITION BY site, device, kind, src_ip ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, device, kind, src_ip ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, device, kind, src_ip, burst, min(src_country) AS country, count(*) AS failures,
        count(DISTINCT account) AS tried, list(DISTINCT account) FILTER (account <> '') AS accounts,
        min(time) AS begins, max(time) AS ends,
        list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
             ORDER BY time, evidence_id, evidence_offset) AS events
    FROM numbered GROUP BY ALL HAVING count(*) >= $failures OR count(DISTINCT account) >= $accounts
), succeeded AS (
    SELECT b.site, b.device, b.kind, b.src_ip, b.burst, list(DISTINCT l.account) AS opened
    FROM bursts AS b JOIN vpn_logins AS l ON l.outcome = 'success' AND l.src_ip = b.src_ip AND l.kind = b.kind
        AND l.device IS NOT DISTINCT FROM b.device AND l.site IS NOT DISTINCT FROM b.site
        AND l.time BETWEEN b.begins AND b.ends + $gap_minutes * INTERVAL 1 MINUTE
    GROUP BY ALL
)
SELECT b.site, b.begins AS first_seen, b.ends AS last_seen, b.device AS host, [b.device] AS hosts,
    CASE WHEN b.tried = 1 THEN b.accounts[1] END AS account, b.accounts, NULL::VARCHAR AS src_host, b.src_ip,
    CASE WHEN s.opened IS NOT NULL THEN 'high' WHEN ip_is_private(b.src_ip) THEN 'medium' ELSE 'low' END AS level,
    0.8 AS confidence,
    MAP {'failures': CAST(b.failures AS VARCHAR), 'account_count': CAST(b.tried AS VARCHAR), 'kind': b.kind,
         'country': b.country, 'opened': array_to_string(list_sort(s.opened), ', ')} AS details,
    b.events
FROM bursts AS b
LEFT JOIN succeeded AS s ON s.src_ip = b.src_ip AND s.burst = b.burst AND s.kind = b.kind
    AND s.device IS NOT DISTINCT FROM b.device AND s.site IS NOT DISTINCT FROM b.site

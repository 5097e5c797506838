-- stage: lateral_movement_shared_password
-- step: lateral_movement
-- techniques: T1021, T1078, T1550.002
-- level: medium
-- finds: one account name and its password open several machines from one source, where they were never used before
-- blind: needs the Security (or TerminalServices) logs of the destinations; the controller's 4776 names the source only
-- needs: logons, logon_attempts, logon_edges, site_accounts(site, account, kind)
-- parameter: gap_minutes = 120 an intruder who tries a password by hand needs minutes for each machine, not hours
-- parameter: hosts = 3 two machines with one password may be a pair that belongs together
-- parameter: many = 10 machines by which an administrator's round and an intruder's differ
-- parameter: daily_factor = 2.0 more than this times the account's widest earlier day, else it is its habit
WITH used AS (
    SELECT a.*, a.is_local_account OR a.authentication = 'NTLM' OR a.logon_type = 10 AS by_password
    FROM logon_attempts AS a WHERE a.outcome = 'success'
), fresh AS (
    SELECT u.site, u.src, u.account, u.host, min(u.time) AS first_use, bool_or(u.is_local_account) AS is_local,
        min(e.history_days) AS history_days
    FROM used AS u JOIN logon_edges AS e
      ON e.src = u.src AND e.account = u.account AND e.host = u.host AND e.site IS NOT DISTINCT FROM u.site
    WHERE u.by_password AND e.is_new
    GROUP BY ALL
), marked AS (
    SELECT *, CASE WHEN first_use - lag(first_use) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM fresh WINDOW w AS (PARTITION BY site, src, account ORDER BY first_use, host)
), numbered AS (
    SELECT *, sum(starts) OVER (
        PARTITION BY site, src, account ORDER BY first_use, host ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, src, account, burst, count(*) AS reached, count(*) FILTER (is_local) AS local_hosts,
        min(first_use) AS begins, max(first_use) AS ends, median(history_days) AS history
    FROM numbered GROUP BY ALL HAVING count(*) >= $hosts
), days AS (
    SELECT site, account, date_trunc('day', time) AS day, count(DISTINCT host) AS reached FROM used GROUP BY ALL
), usual AS (
    SELECT b.site, b.src, b.account, b.burst, max(d.reached) AS widest
    FROM bursts AS b JOIN days AS d ON d.account = b.account AND d.site IS NOT DISTINCT FROM b.site
        AND d.day < date_trunc('day', b.begins) - INTERVAL 1 DAY
    GROUP BY ALL
), known AS (
    SELECT DISTINCT site, lower(account) AS account FROM site_accounts WHERE kind IN ('service', 'administrator')
), found AS (
    SELECT b.*, coalesce(u.widest, 0) AS widest, k.account IS NOT NULL AS is_known
    FROM bursts AS b
    LEFT JOIN usual AS u ON u.src = b.src AND u.account = b.account AND u.burst = b.burst
        AND u.site IS NOT DISTINCT FROM b.site
    LEFT JOIN known AS k ON k.account = b.account AND coalesce(k.site, b.site) IS NOT DISTINCT FROM b.site
    WHERE b.local_hosts >= 2 OR b.reached > $daily_factor * coalesce(u.widest, 0)
)
SELECT f.site, f.begins AS first_seen, max(u.time) AS last_seen, NULL::VARCHAR AS host,
    list(DISTINCT u.host) AS hosts,
    CASE WHEN f.local_hosts >= 2 OR count(DISTINCT u.account_domain) > 1 THEN f.account ELSE min(concat_ws('\', u.account_domain, u.account)) END AS account,
    list(DISTINCT concat_ws('\', u.account_domain, u.account)) AS accounts,
    any_value(CASE WHEN ip_normal(u.src) IS NULL THEN u.src END) AS src_host, min(u.src_ip) AS src_ip,
    CASE WHEN f.is_known AND f.reached < $many THEN 'low'
         WHEN f.local_hosts >= 2 OR f.reached >= $many THEN 'high' ELSE 'medium' END AS level,
    CASE WHEN f.history >= 7 THEN 0.9 WHEN f.history >= 1 THEN 0.8 ELSE 0.5 END AS confidence,
    MAP {'host_count': CAST(f.reached AS VARCHAR), 'local_account_hosts': CAST(f.local_hosts AS VARCHAR),
         'minutes': CAST(CAST(epoch(f.ends - f.begins) / 60 AS INTEGER) AS VARCHAR),
         'usual_host_count': CAST(f.widest AS VARCHAR),
         'logon_types': array_to_string(list_sort(list(DISTINCT u.logon_type)), ', '),
         'authentication': array_to_string(list_sort(list(DISTINCT u.authentication)), ', ')} AS details,
    list({'evidence_id': u.evidence_id, 'evidence_offset': u.evidence_offset}
         ORDER BY u.time, u.evidence_id, u.evidence_offset) AS events
FROM found AS f
JOIN numbered AS n ON n.src = f.src AND n.account = f.account AND n.burst = f.burst
    AND n.site IS NOT DISTINCT FROM f.site
JOIN used AS u ON u.src = n.src AND u.account = n.account AND u.host = n.host
    AND u.site IS NOT DISTINCT FROM n.site
    AND u.time BETWEEN f.begins AND f.ends + $gap_minutes * INTERVAL 1 MINUTE
GROUP BY f.site, f.src, f.account, f.burst, f.begins, f.ends, f.reached, f.local_hosts, f.history, f.widest, f.is_known

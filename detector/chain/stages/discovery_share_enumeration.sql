-- stage: discovery_share_enumeration
-- step: discovery
-- techniques: T1135, T1018
-- level: medium
-- finds: one account on one machine opens the IPC or administrative shares of many hosts that it never opened before
-- blind: needs file share auditing (5140 / 5145) on the hosts, which is off by default
-- needs: share_access, site_accounts(site, account, kind)
-- parameter: gap_minutes = 30 a tool that walks a network does not pause longer
-- parameter: hosts = 5 a user's drives lie on fewer servers
-- parameter: habit_days = 3 days on which the way is used make it a habit
WITH opened AS (
    SELECT * FROM share_access
    WHERE (share = 'IPC$' OR is_admin_share) AND account IS NOT NULL AND NOT ends_with(account, '$')
      AND src_ip IS NOT NULL AND account <> 'anonymous logon'
), ways AS (
    SELECT site, src_ip, account, host, min(time) AS first_seen FROM opened
    GROUP BY ALL HAVING count(DISTINCT CAST(time AS DATE)) < $habit_days
), marked AS (
    SELECT *, CASE WHEN first_seen - lag(first_seen) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM ways WINDOW w AS (PARTITION BY site, src_ip, account ORDER BY first_seen, host)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, src_ip, account ORDER BY first_seen, host
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), known AS (
    SELECT DISTINCT site, lower(account) AS account FROM site_accounts WHERE kind IN ('service', 'administrator')
), bursts AS (
    SELECT site, src_ip, account, burst, min(first_seen) AS begins, max(first_seen) AS ends FROM numbered
    GROUP BY ALL HAVING count(*) >= $hosts
)
SELECT b.site, b.begins AS first_seen, max(o.time) AS last_seen, NULL::VARCHAR AS host, list(DISTINCT o.host) AS hosts,
    CASE WHEN count(DISTINCT o.account_domain) = 1 THEN min(concat_ws('\', o.account_domain, o.account))
         ELSE min(o.account) END AS account, b.src_ip, 0.7 AS confidence,
    CASE WHEN bool_or(k.account IS NOT NULL) THEN 'low' WHEN bool_or(o.is_admin_share) THEN 'high' ELSE 'medium' END AS level,
    MAP {'host_count': CAST(count(DISTINCT o.host) AS VARCHAR),
         'shares': array_to_string(list_sort(list(DISTINCT o.share))[1:10], ', ')} AS details,
    list({'evidence_id': o.evidence_id, 'evidence_offset': o.evidence_offset}
         ORDER BY o.time, o.evidence_id, o.evidence_offset) AS events
FROM bursts AS b
JOIN numbered AS n ON n.src_ip = b.src_ip AND n.account = b.account AND n.burst = b.burst
    AND n.site IS NOT DISTINCT FROM b.site
JOIN opened AS o ON o.src_ip = n.src_ip AND o.account = n.account AND o.host = n.host
    AND o.site IS NOT DISTINCT FROM n.site AND o.time BETWEEN b.begins AND b.ends + $gap_minutes * INTERVAL 1 MINUTE
LEFT JOIN known AS k ON k.account = b.account AND coalesce(k.site, b.site) IS NOT DISTINCT FROM b.site
GROUP BY b.site, b.src_ip, b.account, b.burst, b.begins

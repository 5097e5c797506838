-- stage: impact_many_hosts
-- step: impact
-- techniques: T1486, T1490, T1489, T1070.001
-- level: critical
-- finds: recovery destroyed, logs cleared or protection removed on several hosts within an hour or so: encryption begins
-- blind: sees the hosts whose logs are in the case
-- needs: sabotage, log_clears, antivirus_changes
-- parameter: gap_minutes = 60 a crew works through its list without longer pauses
-- parameter: hosts = 3 hosts; two may be one administrator's cleaning
-- parameter: habit_days = 3 the same act on the same host on that many days is a job
WITH signs AS (
    SELECT time, site, host, kind, CASE WHEN account <> 'system' AND NOT ends_with(account, '$')
            THEN concat_ws('\', account_domain, account) END AS account, lower(detail) AS detail, evidence_id,
        evidence_offset
    FROM sabotage WHERE kind IN ('shadow_copies', 'backup', 'boot_recovery')
    UNION ALL
    SELECT time, site, host, 'log_cleared', concat_ws('\', account_domain, account), cleared, evidence_id,
        evidence_offset
    FROM log_clears
    UNION ALL
    SELECT r.time, r.site, r.host, 'protection_removed', NULL, r.product, r.evidence_id, r.evidence_offset
    FROM antivirus_changes AS r ANTI JOIN antivirus_changes AS i ON i.host = r.host AND i.site IS NOT DISTINCT FROM r.site
        AND i.action IN ('installed', 'updated', 'enabled', 'started')
        AND i.time BETWEEN r.time - INTERVAL 1 HOUR AND r.time + INTERVAL 1 HOUR
    WHERE r.action IN ('removed', 'disabled')
), habits AS (
    SELECT site, host, kind, detail FROM signs GROUP BY ALL
    HAVING count(DISTINCT CAST(time AS DATE)) >= $habit_days
), marked AS (
    SELECT s.*, CASE WHEN s.time - lag(s.time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM signs AS s ANTI JOIN habits AS h ON h.host = s.host AND h.kind = s.kind
        AND h.detail IS NOT DISTINCT FROM s.detail AND h.site IS NOT DISTINCT FROM s.site
    WINDOW w AS (PARTITION BY s.site ORDER BY s.time, s.evidence_id, s.evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
)
SELECT site, min(time) AS first_seen, max(time) AS last_seen, NULL::VARCHAR AS host, list(DISTINCT host) AS hosts,
    CASE WHEN count(DISTINCT account) FILTER (account <> '') = 1 THEN min(account) FILTER (account <> '') END AS account,
    list(DISTINCT account) FILTER (account <> '') AS accounts,
    CASE WHEN count(DISTINCT kind) >= 2 THEN 'critical' ELSE 'high' END AS level,
    CASE WHEN count(DISTINCT kind) >= 2 THEN 0.95 ELSE 0.8 END AS confidence,
    MAP {'host_count': CAST(count(DISTINCT host) AS VARCHAR),
         'kinds': array_to_string(list_sort(list(DISTINCT kind)), ', '),
         'minutes': CAST(CAST(epoch(max(time) - min(time)) / 60 AS INTEGER) AS VARCHAR)} AS details,
    list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
         ORDER BY time, evidence_id, evidence_offset) AS events
FROM numbered GROUP BY site, burst HAVING count(DISTINCT host) >= $hosts

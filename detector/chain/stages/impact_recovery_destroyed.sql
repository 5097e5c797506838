-- stage: impact_recovery_destroyed
-- step: impact
-- techniques: T1490
-- level: high
-- finds: shadow copies, backups or boot recovery of a host removed
-- blind: needs Sysmon or process auditing with command lines; wbadmin leaves event 524 without them
-- needs: sabotage
-- parameter: gap_minutes = 60 on one host, what follows this closely is one act
-- parameter: habit_days = 3 the same command on the same host on that many days is a backup job
WITH signs AS (
    SELECT * FROM sabotage WHERE kind IN ('shadow_copies', 'backup', 'boot_recovery')
), habits AS (
    SELECT site, host, lower(detail) AS detail FROM signs GROUP BY ALL
    HAVING count(DISTINCT CAST(time AS DATE)) >= $habit_days
), marked AS (
    SELECT s.*, CASE WHEN s.time - lag(s.time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM signs AS s ANTI JOIN habits AS h ON h.host = s.host AND h.detail = lower(s.detail)
        AND h.site IS NOT DISTINCT FROM s.site
    WINDOW w AS (PARTITION BY s.site, s.host ORDER BY s.time, s.evidence_id, s.evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
)
SELECT site, min(time) AS first_seen, max(time) AS last_seen, host, [host] AS hosts,
    min(concat_ws('\', account_domain, account)) FILTER (account <> 'system' AND NOT ends_with(account, '$')) AS account,
    CASE WHEN count(DISTINCT kind) >= 2 THEN 'critical' ELSE 'high' END AS level,
    least(0.95, 0.75 + 0.1 * count(DISTINCT kind)) AS confidence,
    MAP {'kinds': array_to_string(list_sort(list(DISTINCT kind)), ', '), 'command': arg_min(detail, time)[1:300]} AS details,
    list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
         ORDER BY time, evidence_id, evidence_offset) AS events
FROM numbered GROUP BY site, host, burst

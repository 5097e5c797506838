-- stage: defense_evasion_logs_cleared
-- step: defense_evasion
-- techniques: T1070.001
-- level: high
-- finds: event logs of a host cleared, and by whom
-- blind: the clearing of a log is the first event of the new one: it is missing only where that was overwritten too
-- needs: log_clears, logons
-- parameter: gap_minutes = 60 logs of one host that are cleared this closely are one act
WITH marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM log_clears WINDOW w AS (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, host, burst, min(time) AS begins, max(time) AS ends,
        coalesce(min(concat_ws('\', account_domain, account)) FILTER (account_sid LIKE 'S-1-5-21-%'),
                 min(concat_ws('\', account_domain, account)) FILTER (account IS NOT NULL)) AS account,
        bool_and(coalesce(account_sid = 'S-1-5-18', false)) AS by_system,
        list(DISTINCT cleared) AS logs, min(logon_id) AS logon_id,
        list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
             ORDER BY time, evidence_id, evidence_offset) AS events
    FROM numbered GROUP BY ALL
), origin AS (
    SELECT b.site, b.host, b.burst, arg_max(l.src_ip, l.time) AS src_ip, arg_max(l.src_host, l.time) AS src_host
    FROM bursts AS b JOIN logons AS l ON l.host = b.host AND l.logon_id = b.logon_id
        AND l.site IS NOT DISTINCT FROM b.site AND l.is_remote AND l.time <= b.begins
    GROUP BY ALL
)
SELECT b.site, b.begins AS first_seen, b.ends AS last_seen, b.host, [b.host] AS hosts, b.account, o.src_host, o.src_ip,
    CASE WHEN b.by_system THEN 'medium' ELSE 'high' END AS level, 0.9 AS confidence,
    MAP {'logs': array_to_string(list_sort(b.logs)[1:30], ', '), 'log_count': CAST(len(b.logs) AS VARCHAR)} AS details,
    b.events
FROM bursts AS b
LEFT JOIN origin AS o ON o.host = b.host AND o.burst = b.burst AND o.site IS NOT DISTINCT FROM b.site

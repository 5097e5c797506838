-- stage: discovery_password_guessing
-- step: discovery
-- techniques: T1110.001
-- level: medium
-- finds: many wrong passwords for one account without the account being locked, and whether one was right in the end
-- blind: needs failure auditing (on by default on servers) of the destination or of the controller
-- needs: logons, authentications, account_changes
-- parameter: gap_minutes = 15 the usual observation window of a lockout policy: after it a guesser starts afresh
-- parameter: failures = 10 the lockout threshold that Windows' security baseline sets; people give up or ask sooner
-- parameter: stuck_hours = 6 a program with an old password fails in as many different hours, slower than one a minute
-- parameter: success_minutes = 60 a right password that comes later than this is somebody else's
WITH tries AS (
    SELECT time, site, host, account, account_domain, coalesce(src_ip, src_host, host) AS src, src_ip, src_host,
        outcome, failure, evidence_id, evidence_offset
    FROM logons
    WHERE account IS NOT NULL AND NOT is_machine_account AND NOT is_anonymous AND NOT is_system
    UNION ALL
    SELECT time, site, host, account, account_domain, coalesce(src_ip, src_host, host), src_ip, src_host, outcome,
        failure, evidence_id, evidence_offset
    FROM authentications
    WHERE account IS NOT NULL AND NOT is_machine_account AND event_id <> 4769
), failed AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM tries WHERE failure IN ('bad_password', 'no_such_user', 'locked_out')
    WINDOW w AS (PARTITION BY site, src, account ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, src, account
        ORDER BY time, evidence_id, evidence_offset ROWS UNBOUNDED PRECEDING) AS burst
    FROM failed
), bursts AS (
    SELECT site, src, account, burst, count(*) AS failures, min(time) AS begins, max(time) AS ends,
        list(DISTINCT host) AS hosts, min(account_domain) AS account_domain, min(src_ip) AS src_ip,
        min(src_host) AS src_host, count(*) FILTER (failure = 'locked_out') AS locked,
        list({'time': time, 'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
             ORDER BY time, evidence_id, evidence_offset) AS marks
    FROM numbered GROUP BY ALL HAVING count(*) >= $failures
), regular AS (
    SELECT site, src, account, count(DISTINCT date_trunc('hour', time)) AS hours, count(*) AS failures,
        count(DISTINCT date_trunc('minute', time)) AS minutes
    FROM failed GROUP BY ALL
), lockouts AS (
    SELECT site, target AS account, time FROM account_changes WHERE action = 'locked_out'
), first_success AS (
    SELECT b.site, b.src, b.account, b.burst, min(t.time) AS time,
        arg_min({'time': t.time, 'evidence_id': t.evidence_id, 'evidence_offset': t.evidence_offset},
                (t.time, t.evidence_id, t.evidence_offset)) AS mark
    FROM bursts AS b JOIN tries AS t ON t.outcome = 'success' AND t.account = b.account AND t.src = b.src
        AND t.site IS NOT DISTINCT FROM b.site
        AND t.time BETWEEN b.begins AND b.ends + $success_minutes * INTERVAL 1 MINUTE
    GROUP BY ALL
), locked AS (
    SELECT b.site, b.src, b.account, b.burst, count(*) AS lockouts
    FROM bursts AS b JOIN lockouts AS l ON l.account = b.account AND l.site IS NOT DISTINCT FROM b.site
        AND l.time BETWEEN b.begins AND b.ends + INTERVAL 5 MINUTE
    GROUP BY ALL
)
SELECT b.site, b.begins AS first_seen, coalesce(greatest(s.time, b.ends), b.ends) AS last_seen,
    CASE WHEN len(b.hosts) = 1 THEN b.hosts[1] END AS host, b.hosts,
    concat_ws('\', b.account_domain, b.account) AS account, [concat_ws('\', b.account_domain, b.account)] AS accounts,
    b.src_host, b.src_ip,
    CASE WHEN s.time IS NOT NULL AND b.failures / greatest(1, epoch(b.ends - b.begins) / 60) >= 1 THEN 'high'
         WHEN s.time IS NOT NULL OR l.lockouts IS NULL THEN 'medium' ELSE 'low' END AS level,
    CASE WHEN s.time IS NOT NULL THEN 0.8 ELSE 0.7 END AS confidence,
    MAP {'failures': CAST(b.failures AS VARCHAR), 'lockouts': CAST(coalesce(l.lockouts, 0) AS VARCHAR),
         'succeeded': CASE WHEN s.time IS NULL THEN 'no' ELSE 'yes' END,
         'minutes': CAST(CAST(epoch(b.ends - b.begins) / 60 AS INTEGER) AS VARCHAR)} AS details,
    list_transform(list_sort(CASE WHEN s.mark IS NULL THEN b.marks ELSE list_append(b.marks, s.mark) END),
        lambda m: {'evidence_id': m.evidence_id, 'evidence_offset': m.evidence_offset}) AS events
FROM bursts AS b
JOIN regular AS r ON r.src = b.src AND r.account = b.account AND r.site IS NOT DISTINCT FROM b.site
LEFT JOIN first_success AS s ON s.src = b.src AND s.account = b.account AND s.burst = b.burst
    AND s.site IS NOT DISTINCT FROM b.site
LEFT JOIN locked AS l ON l.src = b.src AND l.account = b.account AND l.burst = b.burst
    AND l.site IS NOT DISTINCT FROM b.site
WHERE NOT (r.hours >= $stuck_hours AND b.failures < greatest(1, epoch(b.ends - b.begins) / 60))

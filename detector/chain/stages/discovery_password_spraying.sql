-- stage: discovery_password_spraying
-- step: discovery
-- techniques: T1110.003
-- level: high
-- finds: one source fails with many different accounts in a short time
-- blind: needs failure auditing of the destination or, better, of the controllers (4771, 4776, 4768)
-- needs: logons, authentications
-- parameter: gap_minutes = 15 a sprayer who waits longer between accounts is found by the day's count of no stage yet
-- parameter: accounts = 8 more different people do not mistype at one machine within minutes
-- parameter: ratio = 2.0 a shared terminal has more successes than failures; a sprayer fails at least twice as often
WITH tries AS (
    SELECT time, site, host, account, coalesce(src_ip, src_host) AS src, src_ip, src_host, outcome, failure,
        evidence_id, evidence_offset
    FROM logons
    WHERE account IS NOT NULL AND NOT is_machine_account AND NOT is_anonymous AND NOT is_system
    UNION ALL
    SELECT time, site, host, account, coalesce(src_ip, src_host), src_ip, src_host, outcome, failure, evidence_id,
        evidence_offset
    FROM authentications WHERE account IS NOT NULL AND NOT is_machine_account AND event_id <> 4769
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM tries
    WHERE failure IN ('bad_password', 'no_such_user', 'locked_out') AND src IS NOT NULL
    WINDOW w AS (PARTITION BY site, src ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, src ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, src, burst, count(*) AS failures, count(DISTINCT account) AS tried, min(time) AS begins,
        max(time) AS ends, list(DISTINCT host) AS hosts, list(DISTINCT account) AS accounts, min(src_ip) AS src_ip,
        min(src_host) AS src_host,
        list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
             ORDER BY time, evidence_id, evidence_offset) AS events
    FROM numbered GROUP BY ALL HAVING count(DISTINCT account) >= $accounts
), succeeded AS (
    SELECT b.site, b.src, b.burst, count(DISTINCT t.account) AS opened,
        count(DISTINCT t.account) FILTER (list_contains(b.accounts, t.account)) AS guessed,
        list(DISTINCT t.account) FILTER (list_contains(b.accounts, t.account)) AS guessed_accounts
    FROM bursts AS b JOIN tries AS t ON t.outcome = 'success' AND t.src = b.src
        AND t.site IS NOT DISTINCT FROM b.site AND t.time BETWEEN b.begins AND b.ends + INTERVAL 5 MINUTE
    GROUP BY ALL
)
SELECT b.site, b.begins AS first_seen, b.ends AS last_seen,
    CASE WHEN len(b.hosts) = 1 THEN b.hosts[1] END AS host, b.hosts, NULL::VARCHAR AS account, b.accounts, b.src_host,
    b.src_ip, 0.85 AS confidence,
    MAP {'failures': CAST(b.failures AS VARCHAR), 'account_count': CAST(b.tried AS VARCHAR),
         'guessed': array_to_string(list_sort(s.guessed_accounts), ', '),
         'minutes': CAST(CAST(epoch(b.ends - b.begins) / 60 AS INTEGER) AS VARCHAR)} AS details,
    b.events
FROM bursts AS b
LEFT JOIN succeeded AS s ON s.src = b.src AND s.burst = b.burst AND s.site IS NOT DISTINCT FROM b.site
WHERE b.tried > $ratio * (coalesce(s.opened, 0) - coalesce(s.guessed, 0))

-- stage: mass_logon_one_source
-- step: mass_logon
-- techniques: T1021, T1078
-- level: high
-- finds: one machine tries to log on to very many others that it never went to before, within a short time
-- blind: without the Security logs of the destinations the controllers' 4769 and the source's 4648 still show it; NTLM
--   by address alone then does not
-- needs: logon_attempts, logon_edges, hosts
-- parameter: gap_minutes = 30 a tool that walks a network does not pause longer; a day's work of an administrator does
-- parameter: floor = 10 fewer machines in one go are an administrator's afternoon
-- parameter: cap = 50 from here on the size of the site no longer matters
-- parameter: share = 0.25 of the site's hosts, between floor and cap, so that a case of a dozen servers works too
-- parameter: daily_factor = 2.0 more than this times the widest other day of the same source, else it is its habit
WITH fresh AS (
    SELECT site, src, host, min(first_seen) AS first_seen, min(history_days) AS history_days
    FROM logon_edges GROUP BY ALL HAVING bool_and(is_new)
), marked AS (
    SELECT *, CASE WHEN first_seen - lag(first_seen) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM fresh WINDOW w AS (PARTITION BY site, src ORDER BY first_seen, host)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, src ORDER BY first_seen, host ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), size AS (
    SELECT site, least($cap, greatest($floor, ceil($share * count(*)))) AS enough FROM hosts GROUP BY ALL
), bursts AS (
    SELECT site, src, burst, count(*) AS reached, min(first_seen) AS begins, max(first_seen) AS ends,
        median(history_days) AS history
    FROM numbered GROUP BY ALL
), days AS (
    SELECT site, src, date_trunc('day', time) AS day, count(DISTINCT host) AS reached
    FROM logon_attempts GROUP BY ALL
), usual AS (
    SELECT b.site, b.src, b.burst, max(d.reached) AS widest
    FROM bursts AS b JOIN days AS d ON d.src = b.src AND d.site IS NOT DISTINCT FROM b.site
        AND d.day < date_trunc('day', b.begins) - INTERVAL 1 DAY
    GROUP BY ALL
), found AS (
    SELECT b.*, coalesce(u.widest, 0) AS widest
    FROM bursts AS b
    LEFT JOIN usual AS u ON u.src = b.src AND u.burst = b.burst AND u.site IS NOT DISTINCT FROM b.site
    LEFT JOIN size AS s ON s.site IS NOT DISTINCT FROM b.site
    WHERE b.reached >= coalesce(s.enough, $floor) AND b.reached > $daily_factor * coalesce(u.widest, 0)
)
SELECT f.site, f.begins AS first_seen, max(a.time) AS last_seen, NULL::VARCHAR AS host,
    list(DISTINCT a.host) AS hosts,
    CASE WHEN count(DISTINCT a.account) = 1 THEN CASE WHEN count(DISTINCT a.account_domain) = 1
        THEN min(concat_ws('\', a.account_domain, a.account)) ELSE min(a.account) END END AS account,
    list(DISTINCT a.account) AS accounts,
    any_value(CASE WHEN ip_normal(a.src) IS NULL THEN a.src END) AS src_host, min(a.src_ip) AS src_ip,
    CASE WHEN f.reached >= $cap THEN 'critical' ELSE 'high' END AS level,
    CASE WHEN f.history >= 7 THEN 0.95 WHEN f.history >= 1 THEN 0.85 ELSE 0.6 END AS confidence,
    MAP {'host_count': CAST(count(DISTINCT a.host) AS VARCHAR), 'minutes': CAST(CAST(epoch(f.ends - f.begins) / 60 AS INTEGER) AS VARCHAR),
         'account_count': CAST(count(DISTINCT a.account) AS VARCHAR),
         'failures': CAST(count(*) FILTER (a.outcome = 'failure') AS VARCHAR),
         'successes': CAST(count(*) FILTER (a.outcome = 'success') AS VARCHAR),
         'usual_host_count': CAST(f.widest AS VARCHAR)} AS details,
    list({'evidence_id': a.evidence_id, 'evidence_offset': a.evidence_offset}
         ORDER BY a.time, a.evidence_id, a.evidence_offset) AS events
FROM found AS f
JOIN numbered AS n ON n.src = f.src AND n.burst = f.burst AND n.site IS NOT DISTINCT FROM f.site
JOIN logon_attempts AS a ON a.src = n.src AND a.host = n.host AND a.site IS NOT DISTINCT FROM n.site
    AND a.time BETWEEN f.begins AND f.ends + $gap_minutes * INTERVAL 1 MINUTE
GROUP BY f.site, f.src, f.burst, f.begins, f.ends, f.reached, f.history, f.widest

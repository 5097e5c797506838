-- stage: mass_logon_one_account
-- step: mass_logon
-- techniques: T1021, T1078
-- level: high
-- finds: one account goes from several machines to very many others that it never went to before, in a short time
-- blind: as mass_logon_one_source
-- needs: logon_attempts, logon_edges, hosts
-- parameter: gap_minutes = 30 as in mass_logon_one_source
-- parameter: floor = 10 as in mass_logon_one_source
-- parameter: cap = 50 as in mass_logon_one_source
-- parameter: share = 0.25 as in mass_logon_one_source
-- parameter: daily_factor = 2.0 as in mass_logon_one_source
-- parameter: main_source = 0.8 if one source makes up more of it, mass_logon_one_source tells it better
WITH fresh AS (
    SELECT site, account, host, min(first_seen) AS first_seen, min(history_days) AS history_days,
        arg_min(src, (first_seen, src)) AS src
    FROM logon_edges GROUP BY ALL HAVING bool_and(is_new)
), marked AS (
    SELECT *, CASE WHEN first_seen - lag(first_seen) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM fresh WINDOW w AS (PARTITION BY site, account ORDER BY first_seen, host)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, account ORDER BY first_seen, host ROWS UNBOUNDED PRECEDING)
        AS burst
    FROM marked
), size AS (
    SELECT site, least($cap, greatest($floor, ceil($share * count(*)))) AS enough FROM hosts GROUP BY ALL
), by_source AS (
    SELECT site, account, burst, src, count(*) AS reached, min(first_seen) AS begins, max(first_seen) AS ends,
        median(history_days) AS history
    FROM numbered GROUP BY ALL
), bursts AS (
    SELECT site, account, burst, CAST(sum(reached) AS BIGINT) AS reached, min(begins) AS begins, max(ends) AS ends,
        max(history) AS history, max(reached) AS main, count(*) AS sources
    FROM by_source GROUP BY ALL
), days AS (
    SELECT site, account, date_trunc('day', time) AS day, count(DISTINCT host) AS reached
    FROM logon_attempts GROUP BY ALL
), usual AS (
    SELECT b.site, b.account, b.burst, max(d.reached) AS widest
    FROM bursts AS b JOIN days AS d ON d.account = b.account AND d.site IS NOT DISTINCT FROM b.site
        AND d.day < date_trunc('day', b.begins) - INTERVAL 1 DAY
    GROUP BY ALL
), found AS (
    SELECT b.*, coalesce(u.widest, 0) AS widest
    FROM bursts AS b
    LEFT JOIN usual AS u ON u.account = b.account AND u.burst = b.burst AND u.site IS NOT DISTINCT FROM b.site
    LEFT JOIN size AS s ON s.site IS NOT DISTINCT FROM b.site
    WHERE b.reached >= coalesce(s.enough, $floor) AND b.reached > $daily_factor * coalesce(u.widest, 0)
      AND b.sources >= 2 AND b.main < $main_source * b.reached
)
SELECT f.site, f.begins AS first_seen, max(a.time) AS last_seen, NULL::VARCHAR AS host,
    list(DISTINCT a.host) AS hosts, min(concat_ws('\', a.account_domain, a.account)) AS account,
    list(DISTINCT a.account) AS accounts, NULL::VARCHAR AS src_host, NULL::VARCHAR AS src_ip,
    CASE WHEN f.reached >= $cap THEN 'critical' ELSE 'high' END AS level,
    CASE WHEN f.history >= 7 THEN 0.9 WHEN f.history >= 1 THEN 0.8 ELSE 0.5 END AS confidence,
    MAP {'host_count': CAST(count(DISTINCT a.host) AS VARCHAR),
         'source_count': CAST(count(DISTINCT a.src) AS VARCHAR),
         'sources': array_to_string(list_sort(list(DISTINCT a.src))[1:20], ', '),
         'minutes': CAST(CAST(epoch(f.ends - f.begins) / 60 AS INTEGER) AS VARCHAR),
         'usual_host_count': CAST(f.widest AS VARCHAR)} AS details,
    list({'evidence_id': a.evidence_id, 'evidence_offset': a.evidence_offset}
         ORDER BY a.time, a.evidence_id, a.evidence_offset) AS events
FROM found AS f
JOIN numbered AS n ON n.account = f.account AND n.burst = f.burst AND n.site IS NOT DISTINCT FROM f.site
JOIN logon_attempts AS a ON a.account = n.account AND a.host = n.host AND a.site IS NOT DISTINCT FROM n.site
    AND a.time BETWEEN f.begins AND f.ends + $gap_minutes * INTERVAL 1 MINUTE
GROUP BY f.site, f.account, f.burst, f.begins, f.ends, f.reached, f.history, f.widest

-- stage: lateral_movement_service_spread
-- step: lateral_movement
-- techniques: T1569.002, T1570, T1021.002
-- level: high
-- finds: the same new service, or one binary under several names, appears on several hosts within a short time
-- blind: needs the System logs (7045 is always audited) of the hosts
-- needs: services
-- parameter: gap_minutes = 60 a tool that spreads over a network does not pause longer
-- parameter: hosts = 3 two hosts with one new service may be a pair
-- parameter: habit_days = 3 a service that appears on that many days is being rolled out or reinstalled, not spread
WITH installed AS (
    SELECT * REPLACE (CASE WHEN NOT ends_with(account, '$') AND account <> 'system' THEN account END AS account),
        regexp_replace(lower(service_name), '[0-9a-f]{6,}|\d+', '#', 'g') AS name_form,
        regexp_replace(lower(split_part(trim(regexp_replace(image_path, '^"([^"]+)".*$', '\1'), '"'), ' -', 1)), '[0-9a-f]{6,}|\d+', '#', 'g')
            AS path_form
    FROM services
    WHERE action = 'installed' AND NOT regexp_matches(lower(coalesce(image_path, '')), '\.sys\b|\\program files( \(x86\))?\\|\\programdata\\microsoft\\windows defender|\\windows\\system32\\(svchost|dllhost|msiexec)\.exe|\\windows\\(servicing|winsxs|microsoft\.net)\\')
), forms AS (
    SELECT *, 'name ' || name_form AS form FROM installed
    UNION ALL
    SELECT *, 'path ' || path_form FROM installed WHERE path_form <> '' AND length(path_form) > 8
), habits AS (
    SELECT site, form FROM forms GROUP BY ALL HAVING count(DISTINCT CAST(time AS DATE)) >= $habit_days
), first_on_host AS (
    SELECT f.site, f.form, f.host, min(f.time) AS time FROM forms AS f
    ANTI JOIN habits AS h ON h.form = f.form AND h.site IS NOT DISTINCT FROM f.site GROUP BY ALL
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM first_on_host WINDOW w AS (PARTITION BY site, form ORDER BY time, host)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, form ORDER BY time, host ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, form, burst, min(time) AS begins, max(time) AS ends, count(*) AS reached FROM numbered
    GROUP BY ALL HAVING count(*) >= $hosts
), found AS (
    SELECT b.site, b.form, b.burst, b.begins, b.reached, max(f.time) AS ends, list(DISTINCT f.host) AS hosts,
        min(f.service_name) AS service_name, min(f.image_path) AS image_path,
        CASE WHEN count(DISTINCT f.account) = 1 THEN min(f.account) END AS account,
        list(DISTINCT f.account) FILTER (f.account IS NOT NULL) AS accounts,
        list({'evidence_id': f.evidence_id, 'evidence_offset': f.evidence_offset}
             ORDER BY f.time, f.evidence_id, f.evidence_offset) AS events
    FROM bursts AS b
    JOIN forms AS f ON f.form = b.form AND f.site IS NOT DISTINCT FROM b.site AND f.time BETWEEN b.begins AND b.ends
    GROUP BY ALL
)
SELECT site, begins AS first_seen, ends AS last_seen, NULL::VARCHAR AS host, hosts, account, accounts,
    CASE WHEN reached >= 10 THEN 'critical' ELSE 'high' END AS level, 0.85 AS confidence,
    MAP {'host_count': CAST(reached AS VARCHAR), 'service': service_name, 'image_path': image_path[1:300]} AS details, events
FROM found
QUALIFY row_number() OVER (PARTITION BY site, date_trunc('hour', begins), hosts ORDER BY form DESC) = 1

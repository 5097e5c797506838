-- stage: initial_access_vpn_break_in
-- step: initial_access
-- techniques: T1133, T1078
-- level: high
-- finds: a VPN login that does not fit its user: after a run of failures, from a country or address never used, while
--   another session of the same user is open from elsewhere
-- blind: needs the log of the VPN appliance; a supplier's appliance is often not among the evidence
-- needs: vpn_logins, vpn_sessions
-- parameter: failures = 5 a person who forgot a password asks after a few tries
-- parameter: minutes = 60 how long after the last failure a success still belongs to it
-- parameter: known_logins = 5 fewer earlier logins do not say where a user usually comes from
-- parameter: few_addresses = 2 a user (a contractor's office) who always came from one or two addresses has a home
WITH logins AS (
    SELECT *, count(*) FILTER (outcome = 'failure') OVER (PARTITION BY site, account ORDER BY time
            RANGE BETWEEN $minutes * INTERVAL 1 MINUTE PRECEDING AND CURRENT ROW) AS failed_before
    FROM vpn_logins WHERE kind = 'user' AND account IS NOT NULL
), successes AS (
    SELECT * FROM logins WHERE outcome = 'success'
), by_address AS (
    SELECT site, account, src_ip, min(src_country) AS src_country, min(time) AS first_seen,
        min(failed_before) FILTER (failed_before >= $failures) AS failed_before
    FROM successes WHERE src_ip IS NOT NULL GROUP BY ALL
), history AS (
    SELECT n.site, n.account, n.src_ip, count(*) AS logins, count(DISTINCT o.src_ip) AS addresses,
        count(DISTINCT o.src_country) AS countries,
        bool_or(o.src_country IS NOT DISTINCT FROM n.src_country) AS same_country,
        bool_or(regexp_extract(o.src_ip, '^\d+\.\d+\.') = regexp_extract(n.src_ip, '^\d+\.\d+\.')) AS same_network,
        list(DISTINCT o.src_country) AS earlier_countries
    FROM by_address AS n JOIN successes AS o ON o.account = n.account AND o.site IS NOT DISTINCT FROM n.site
        AND o.time < n.first_seen
    GROUP BY ALL
), double AS (
    SELECT a.site, a.account, b.src_ip, min(b.started) AS time, min(a.src_ip) AS other_ip
    FROM vpn_sessions AS a JOIN vpn_sessions AS b ON b.account = a.account AND b.site IS NOT DISTINCT FROM a.site
        AND b.src_ip <> a.src_ip AND b.started > a.started AND b.started < a.ended
    GROUP BY ALL
), after_failures AS (
    SELECT site, account, src_ip, max(failed_before) AS failed, min(time) AS time
    FROM successes WHERE failed_before >= $failures GROUP BY ALL
), judged AS (
    SELECT n.site, n.account, n.src_ip, n.src_country, n.first_seen,
        coalesce(h.logins, 0) AS logins, f.failed, f.time AS failed_time, d.other_ip,
        coalesce(h.logins >= $known_logins AND h.countries >= 1 AND n.src_country IS NOT NULL
            AND NOT h.same_country, false) AS new_country,
        coalesce(h.logins >= $known_logins AND h.addresses <= $few_addresses AND NOT h.same_network, false)
            AS left_home,
        h.earlier_countries
    FROM by_address AS n
    LEFT JOIN history AS h ON h.account = n.account AND h.src_ip = n.src_ip AND h.site IS NOT DISTINCT FROM n.site
    LEFT JOIN after_failures AS f ON f.account = n.account AND f.src_ip = n.src_ip
        AND f.site IS NOT DISTINCT FROM n.site
    LEFT JOIN double AS d ON d.account = n.account AND d.src_ip = n.src_ip AND d.site IS NOT DISTINCT FROM n.site
), found AS (
    SELECT *, coalesce(least(first_seen, failed_time), first_seen) AS begins,
        (failed IS NOT NULL)::INTEGER + new_country::INTEGER + left_home::INTEGER + (other_ip IS NOT NULL)::INTEGER
            AS reasons
    FROM judged
    WHERE failed IS NOT NULL OR new_country OR left_home OR (other_ip IS NOT NULL AND logins >= 1)
)
SELECT f.site, min(l.time) AS first_seen, max(l.time) AS last_seen, min(l.device) AS host,
    list(DISTINCT l.device) AS hosts, f.account, [f.account] AS accounts, NULL::VARCHAR AS src_host, f.src_ip,
    CASE WHEN f.reasons >= 2 OR f.new_country THEN 'high' WHEN f.failed IS NOT NULL OR f.left_home THEN 'medium'
         ELSE 'low' END AS level,
    least(0.95, 0.5 + 0.15 * f.reasons) AS confidence,
    MAP {'failures': CAST(f.failed AS VARCHAR), 'country': f.src_country,
         'earlier_countries': array_to_string(list_sort(f.earlier_countries), ', '),
         'new_country': CASE WHEN f.new_country THEN 'yes' END,
         'new_address': CASE WHEN f.left_home THEN 'yes' END, 'other_session_from': f.other_ip,
         'earlier_logins': CAST(f.logins AS VARCHAR),
         'assigned_ip': min(l.assigned_ip)} AS details,
    list({'evidence_id': l.evidence_id, 'evidence_offset': l.evidence_offset}
         ORDER BY l.time, l.evidence_id, l.evidence_offset) AS events
FROM found AS f
JOIN logins AS l ON l.account = f.account AND l.site IS NOT DISTINCT FROM f.site
    AND ((l.src_ip = f.src_ip AND l.time >= f.begins - $minutes * INTERVAL 1 MINUTE)
         OR (l.outcome = 'failure' AND l.time BETWEEN f.begins - $minutes * INTERVAL 1 MINUTE AND f.begins))
GROUP BY f.site, f.account, f.src_ip, f.src_country, f.logins, f.failed, f.other_ip, f.new_country, f.left_home,
    f.earlier_countries, f.reasons

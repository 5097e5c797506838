-- stage: initial_access_vpn_break_in
-- step: initial_access
-- techniques: T1133, T1078
-- level: high
-- finds: a VPN login that does not fit its user: after a run of failures, from a country or network not used before,
--   while another session of the same user is open from elsewhere. Night and maintenance window decide the doubtful
-- blind: needs the log of the VPN appliance; a supplier's appliance is often not among the evidence. An intruder who
--   comes from the user's own network, or is the first and only one to use the account, looks like the user
-- needs: vpn_logins, vpn_sessions, logon_hours
-- needs: site_windows(site, who, day, begins, ends), site_accounts(site, account, kind, vendor)
-- parameter: failures = 5 a person who forgot a password asks after a few tries
-- parameter: minutes = 60 how long after the last failure a success still belongs to it
-- parameter: known_logins = 5 fewer earlier logins do not say where a user usually comes from
-- parameter: few_addresses = 2 a user (a contractor's office) who always came from one or two addresses has a home
-- parameter: login_minutes = 10 an appliance writes several lines for one login
-- parameter: overlap_minutes = 2 a session that ends this soon after the next began was only moved to another address
-- parameter: quiet = 0.25 an hour of the day with less than this part of the mean hour's logons is quiet
-- parameter: night_from = 22 first hour of the night, local time; without a time zone in site.toml the quiet hours of
--   the site's own logons are taken
-- parameter: night_to = 6 first hour of the day
WITH logins AS (
    SELECT *, count(*) FILTER (outcome = 'failure') OVER (PARTITION BY site, account ORDER BY time
            RANGE BETWEEN $minutes * INTERVAL 1 MINUTE PRECEDING AND CURRENT ROW) AS failed_before,
        -- The network that a provider routes as one: /16, or /48 of IPv6.
        CASE WHEN contains(src_ip, ':') THEN array_to_string(string_split(src_ip, ':')[1:3], ':')
             ELSE regexp_extract(src_ip, '^\d+\.\d+\.') END AS network,
        timezone(coalesce(nullif($time_zone, ''), 'UTC'), time) AS local_time
    FROM vpn_logins WHERE kind = 'user' AND account IS NOT NULL
), successes AS (
    SELECT *, time_bucket($login_minutes * INTERVAL 1 MINUTE, time) AS slot FROM logins WHERE outcome = 'success'
), guessed AS (
    -- An address that failed so often, whatever the account, before anybody ever came in from it.
    SELECT l.site, l.src_ip, count(*) AS failed
    FROM logins AS l JOIN (SELECT site, src_ip, min(time) AS time FROM successes GROUP BY ALL) AS s
        ON s.src_ip = l.src_ip AND s.site IS NOT DISTINCT FROM l.site
    WHERE l.outcome = 'failure' AND l.time BETWEEN s.time - $minutes * INTERVAL 1 MINUTE AND s.time
    GROUP BY ALL HAVING count(*) >= $failures
), quiet_hours AS (
    SELECT site, list(hour) AS hours FROM logon_hours WHERE busy < $quiet GROUP BY ALL
), planned AS (
    SELECT s.site, s.account, s.src_ip, s.slot,
        bool_or(w.day = strftime(s.local_time, '%a') AND strftime(s.local_time, '%H:%M') >= w.begins
            AND strftime(s.local_time, '%H:%M') < w.ends) AS in_window
    FROM successes AS s
    JOIN site_accounts AS a ON lower(a.account) = s.account AND a.vendor <> ''
        AND coalesce(a.site, s.site) IS NOT DISTINCT FROM s.site
    JOIN site_windows AS w ON w.who = a.vendor AND coalesce(w.site, s.site) IS NOT DISTINCT FROM s.site
    GROUP BY ALL
), by_address AS (
    SELECT s.site, s.account, s.src_ip, min(s.src_country) AS src_country, min(s.network) AS network,
        min(s.time) AS first_seen, count(DISTINCT s.slot) AS own_logins,
        coalesce(bool_or(p.in_window = false), false) AS outside_window,
        bool_or(CASE WHEN $time_zone <> '' THEN hour(s.local_time) >= $night_from OR hour(s.local_time) < $night_to
                     ELSE coalesce(list_contains(q.hours, hour(s.local_time)), false) END) AS at_night
    FROM successes AS s
    LEFT JOIN quiet_hours AS q ON q.site IS NOT DISTINCT FROM s.site
    LEFT JOIN planned AS p ON p.account = s.account AND p.src_ip = s.src_ip AND p.slot = s.slot
        AND p.site IS NOT DISTINCT FROM s.site
    WHERE s.src_ip IS NOT NULL GROUP BY ALL
), history AS (
    SELECT n.site, n.account, n.src_ip, count(DISTINCT o.slot) AS logins, count(DISTINCT o.src_ip) AS addresses,
        count(DISTINCT o.src_country) AS countries,
        bool_or(o.src_country IS NOT DISTINCT FROM n.src_country) AS same_country,
        bool_or(o.network = n.network) AS same_network,
        list(DISTINCT o.src_country) AS earlier_countries
    FROM by_address AS n JOIN successes AS o ON o.account = n.account AND o.site IS NOT DISTINCT FROM n.site
        AND o.time < n.first_seen
    GROUP BY ALL
), usual AS (
    -- Where the account else comes from, in the whole log: with a short log, what came later says it too.
    SELECT n.site, n.account, n.src_ip, count(DISTINCT o.slot) AS logins, count(o.src_country) > 0 AS any_country,
        count(DISTINCT o.network) AS networks,
        coalesce(bool_or(o.src_country = n.src_country), false) AS same_country,
        bool_or(o.network = n.network) AS same_network
    FROM by_address AS n JOIN successes AS o ON o.account = n.account AND o.site IS NOT DISTINCT FROM n.site
        AND o.src_ip <> n.src_ip
    ANTI JOIN guessed AS g ON g.src_ip = o.src_ip AND g.site IS NOT DISTINCT FROM o.site
    GROUP BY ALL
), at_once AS (
    SELECT a.site, a.account, a.src_ip AS one, b.src_ip AS other
    FROM vpn_sessions AS a JOIN vpn_sessions AS b ON b.account = a.account AND b.site IS NOT DISTINCT FROM a.site
        AND b.src_ip <> a.src_ip AND b.started >= a.started
        AND b.started < a.ended - $overlap_minutes * INTERVAL 1 MINUTE
    GROUP BY ALL
), double AS (
    -- Of two places at once, the strange one is where the account came from less often, or later.
    SELECT x.site, x.account, x.src_ip, min(y.src_ip) AS other_ip,
        bool_or(x.src_country <> y.src_country) AS two_countries, bool_and(x.network = y.network) AS one_network
    FROM (SELECT site, account, one AS src_ip, other FROM at_once
          UNION SELECT site, account, other, one FROM at_once) AS o
    JOIN by_address AS x ON x.account = o.account AND x.src_ip = o.src_ip AND x.site IS NOT DISTINCT FROM o.site
    JOIN by_address AS y ON y.account = o.account AND y.src_ip = o.other AND y.site IS NOT DISTINCT FROM o.site
    WHERE (x.own_logins, -epoch_us(x.first_seen), x.src_ip) < (y.own_logins, -epoch_us(y.first_seen), y.src_ip)
    GROUP BY ALL
), after_failures AS (
    SELECT s.site, s.account, s.src_ip, max(greatest(s.failed_before, coalesce(g.failed, 0))) AS failed,
        min(s.time) AS time
    FROM successes AS s LEFT JOIN guessed AS g ON g.src_ip = s.src_ip AND g.site IS NOT DISTINCT FROM s.site
    WHERE s.failed_before >= $failures OR g.failed IS NOT NULL GROUP BY ALL
), judged AS (
    SELECT n.*, coalesce(h.logins, 0) AS logins, f.failed, f.time AS failed_time, d.other_ip,
        coalesce(d.two_countries, false) AS two_countries, coalesce(d.one_network, false) AS one_network,
        coalesce(h.logins >= $known_logins AND h.countries >= 1 AND n.src_country IS NOT NULL
            AND NOT h.same_country, false) AS new_country,
        coalesce(h.logins >= $known_logins AND h.addresses <= $few_addresses AND NOT h.same_network, false)
            AS left_home,
        -- Short history: the account's other logins are more, or as many and earlier.
        coalesce((u.logins > n.own_logins OR (u.logins = n.own_logins AND h.logins >= 1)) AND u.any_country
            AND n.src_country IS NOT NULL AND NOT u.same_country, false) AS odd_country,
        coalesce((u.logins > n.own_logins OR (u.logins = n.own_logins AND h.logins >= 1)) AND u.networks = 1
            AND NOT u.same_network, false) AS odd_network,
        n.at_night OR n.outside_window AS odd_time,
        h.earlier_countries
    FROM by_address AS n
    LEFT JOIN history AS h ON h.account = n.account AND h.src_ip = n.src_ip AND h.site IS NOT DISTINCT FROM n.site
    LEFT JOIN usual AS u ON u.account = n.account AND u.src_ip = n.src_ip AND u.site IS NOT DISTINCT FROM n.site
    LEFT JOIN after_failures AS f ON f.account = n.account AND f.src_ip = n.src_ip
        AND f.site IS NOT DISTINCT FROM n.site
    LEFT JOIN double AS d ON d.account = n.account AND d.src_ip = n.src_ip AND d.site IS NOT DISTINCT FROM n.site
), levelled AS (
    SELECT *, coalesce(least(first_seen, failed_time), first_seen) AS begins,
        new_country OR odd_country AS strange_country, left_home OR odd_network AS strange_network,
        (failed IS NOT NULL)::INTEGER + (new_country OR odd_country)::INTEGER + (left_home OR odd_network)::INTEGER
            + (other_ip IS NOT NULL)::INTEGER AS reasons,
        CASE
            WHEN new_country OR two_countries THEN 'high'
            WHEN failed IS NOT NULL AND (left_home OR odd_country OR odd_network OR other_ip IS NOT NULL) THEN 'high'
            WHEN left_home AND other_ip IS NOT NULL AND (odd_time OR src_country IS NULL) THEN 'high'
            WHEN failed IS NOT NULL OR odd_country THEN 'medium'
            WHEN (left_home OR odd_network OR (other_ip IS NOT NULL AND NOT one_network)) AND odd_time THEN 'medium'
            WHEN left_home AND src_country IS NULL THEN 'medium'
            WHEN left_home OR odd_network OR other_ip IS NOT NULL THEN 'low' END AS level
    FROM judged
)
SELECT f.site, min(l.time) AS first_seen, max(l.time) AS last_seen, min(l.device) AS host,
    list(DISTINCT l.device) AS hosts, f.account, [f.account] AS accounts, NULL::VARCHAR AS src_host, f.src_ip,
    f.level,
    -- A user's habits are only known from a history: without it, less sure.
    least(0.95, 0.5 + 0.15 * f.reasons) * CASE WHEN f.logins >= $known_logins OR f.failed IS NOT NULL THEN 1 ELSE 0.75 END
        AS confidence,
    MAP {'failures': CAST(f.failed AS VARCHAR), 'country': f.src_country,
         'earlier_countries': array_to_string(list_sort(f.earlier_countries), ', '),
         'new_country': CASE WHEN f.strange_country THEN 'yes' END,
         'new_address': CASE WHEN f.strange_network THEN 'yes' END, 'other_session_from': f.other_ip,
         'at_night': CASE WHEN f.at_night THEN 'yes' END,
         'outside_window': CASE WHEN f.outside_window THEN 'yes' END,
         'earlier_logins': CAST(f.logins AS VARCHAR),
         'assigned_ip': min(l.assigned_ip)} AS details,
    list({'evidence_id': l.evidence_id, 'evidence_offset': l.evidence_offset}
         ORDER BY l.time, l.evidence_id, l.evidence_offset) AS events
FROM levelled AS f
JOIN logins AS l ON l.site IS NOT DISTINCT FROM f.site
    AND ((l.account = f.account AND l.src_ip = f.src_ip AND l.time >= f.begins - $minutes * INTERVAL 1 MINUTE)
         OR (f.failed IS NOT NULL AND l.outcome = 'failure' AND (l.account = f.account OR l.src_ip = f.src_ip)
             AND l.time BETWEEN f.begins - $minutes * INTERVAL 1 MINUTE AND f.begins))
WHERE f.level IS NOT NULL
GROUP BY f.site, f.account, f.src_ip, f.src_country, f.level, f.logins, f.failed, f.other_ip, f.strange_country,
    f.strange_network, f.at_night, f.outside_window, f.earlier_countries, f.reasons

-- stage: remote_desktop_from_outside
-- step: remote_desktop
-- techniques: T1021.001, T1133, T1199
-- level: medium
-- finds: remote desktop into a host from outside the site's own networks: a vendor's network, a VPN pool, the
--   Internet. What is known of the source's habits, its maintenance window and its hours decides how bad it is
-- blind: without the host's logs the firewall's allowed connections to port 3389 show it, without an account
-- needs: remote_desktop_sessions, address_zones, address_owners, host_addresses, logons, logon_hours
-- needs: site_windows(site, who, day, begins, ends)
-- needs: site_reaches(site, vendor, host)
-- needs: firewall(site, time, event_type, action, src_ip, dst_ip, dst_port, user, evidence_id, evidence_offset)
-- parameter: session_hours = 8 what the same source does on the same host within a working day is one visit
-- parameter: quiet = 0.25 an hour of the day with less than this part of the mean hour's logons is quiet
-- parameter: known_days = 3 earlier days of visits from which the usual hours of a source can be told
-- parameter: hour_tolerance = 2 hours by which a visit may differ from every earlier one and still be usual
-- parameter: night_from = 22 first hour of the night, local time; without a time zone in site.toml the quiet hours of
--   the site's own logons are taken
-- parameter: night_to = 6 first hour of the day
-- parameter: scan_hosts = 5 a source that touches port 3389 of that many hosts in ten minutes looks for it, and is
--   told by discovery_network_scan
-- parameter: history_days = 1.0 days of the host's log before a first visit can be called new
WITH arrivals AS (
    SELECT time, site, host, src_ip, account, account_domain, phase, source, evidence_id, evidence_offset
    FROM remote_desktop_sessions WHERE src_ip IS NOT NULL AND phase IN ('logon', 'reconnect')
    UNION ALL
    SELECT f.time, f.site, coalesce(o.host, f.dst_ip), f.src_ip, lower(f."user"), NULL, 'connection', 'firewall',
        f.evidence_id, f.evidence_offset
    FROM firewall AS f LEFT JOIN address_owners AS o ON o.ip = f.dst_ip AND o.site IS NOT DISTINCT FROM f.site
    WHERE f.event_type = 'traffic' AND f.dst_port = 3389 AND f.src_ip IS NOT NULL AND ip_is_private(f.dst_ip)
      AND coalesce(f.action, 'allow') NOT IN ('deny', 'drop', 'reset')
), outside AS (
    SELECT a.*, z.zone, z.name AS vendor,
        -- A VPN hands out any address of its pool: there the account is who comes back.
        CASE WHEN z.zone IN ('vpn', 'vpn_pools', 'vendor_vpn_pool') THEN coalesce(a.account, a.src_ip) ELSE a.src_ip END AS src,
        z.basis, timezone(coalesce(nullif($time_zone, ''), 'UTC'), a.time) AS local_time
    FROM arrivals AS a JOIN address_zones AS z ON z.ip = a.src_ip AND z.site IS NOT DISTINCT FROM a.site
    WHERE z.zone IN ('vendor', 'vendor_vpn_pool', 'vpn_pools', 'vpn', 'other', 'public')
), quiet_hours AS (
    SELECT site, list(hour) AS hours FROM logon_hours WHERE busy < $quiet GROUP BY ALL
), begun AS (
    SELECT site, host, min(time) AS begins FROM (
        SELECT site, host, time FROM logons UNION ALL SELECT site, host, time FROM arrivals) GROUP BY ALL
), scanning AS (
    SELECT site, src_ip, time_bucket(INTERVAL 10 MINUTE, time) AS slot FROM outside WHERE phase = 'connection'
    GROUP BY ALL HAVING count(DISTINCT host) >= $scan_hosts
), with_logs AS (
    SELECT DISTINCT site, host FROM remote_desktop_sessions WHERE phase IN ('logon', 'reconnect')
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $session_hours * INTERVAL 1 HOUR THEN 0 ELSE 1 END AS starts
    FROM outside AS o
    WHERE NOT (o.phase = 'connection' AND EXISTS (SELECT 1 FROM scanning AS s WHERE s.src_ip = o.src_ip
        AND s.slot = time_bucket(INTERVAL 10 MINUTE, o.time) AND s.site IS NOT DISTINCT FROM o.site))
    WINDOW w AS (PARTITION BY site, src, host ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, src, host ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS visit
    FROM marked
), visits AS (
    SELECT site, src, min(src_ip) AS src_ip, host, visit, min(zone) AS zone, min(vendor) AS vendor, min(basis) AS basis,
        min(time) AS begins, max(time) AS ends, min(local_time) AS local_begin,
        coalesce(min(account) FILTER (source = 'windows_security'), min(account)) AS account,
        min(account_domain) AS account_domain,
        list(DISTINCT concat_ws('\', account_domain, account)) FILTER (account IS NOT NULL) AS accounts,
        bool_or(phase <> 'connection') AS logged_on, list(DISTINCT source) AS sources,
        list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
             ORDER BY time, evidence_id, evidence_offset) AS events
    FROM numbered GROUP BY site, src, host, visit
), hours AS (
    SELECT DISTINCT site, src, host, CAST(local_time AS DATE) AS day, hour(local_time) AS hour FROM outside
), habits AS (
    SELECT v.site, v.src, v.host, v.visit, count(DISTINCT h.day) AS days,
        min(least(abs(hour(v.local_begin) - h.hour), 24 - abs(hour(v.local_begin) - h.hour))) AS off_by
    FROM visits AS v JOIN hours AS h ON h.src = v.src AND h.host = v.host
        AND h.site IS NOT DISTINCT FROM v.site AND h.day < CAST(v.local_begin AS DATE)
    GROUP BY ALL
), planned AS (
    SELECT v.site, v.src, v.host, v.visit,
        bool_or(w.day = strftime(v.local_begin, '%a') AND strftime(v.local_begin, '%H:%M') >= w.begins
            AND strftime(v.local_begin, '%H:%M') < w.ends) AS in_window
    FROM visits AS v JOIN site_windows AS w ON w.who = v.vendor AND coalesce(w.site, v.site) IS NOT DISTINCT FROM v.site
    GROUP BY ALL
), allowed AS (
    SELECT v.site, v.src, v.host, v.visit, bool_or(upper(r.host) = v.host) AS reaches
    FROM visits AS v JOIN site_reaches AS r ON r.vendor = v.vendor
        AND coalesce(r.site, v.site) IS NOT DISTINCT FROM v.site
    GROUP BY ALL
), vendor_hosts AS (
    SELECT DISTINCT h.site, h.host FROM host_addresses AS h JOIN address_zones AS z ON z.ip = h.ip
        AND z.site IS NOT DISTINCT FROM h.site
    WHERE z.zone IN ('vendor', 'vendor_vpn_pool')
), judged AS (
    SELECT v.*, p.in_window, CASE WHEN o.host IS NULL THEN a.reaches END AS reaches, coalesce(h.days, 0) AS known_days,
        epoch(v.begins - b.begins) / 86400 AS history,
        coalesce(h.days, 0) = 0 AND epoch(v.begins - b.begins) / 86400 >= $history_days AS is_new,
        coalesce(h.days >= $known_days AND h.off_by > $hour_tolerance, false) AS unusual_hour,
        coalesce(h.days >= 1 AND h.off_by > $hour_tolerance, false) AS odd_hour,
        coalesce(h.days >= 2 AND h.off_by > 3 * $hour_tolerance, false) AS far_off,
        CASE WHEN $time_zone <> '' THEN hour(v.local_begin) >= $night_from OR hour(v.local_begin) < $night_to
             ELSE coalesce(list_contains(q.hours, hour(v.local_begin)), false) END AS at_night
    FROM visits AS v
    LEFT JOIN quiet_hours AS q ON q.site IS NOT DISTINCT FROM v.site
    LEFT JOIN vendor_hosts AS o ON o.host = v.host AND o.site IS NOT DISTINCT FROM v.site
    LEFT JOIN with_logs AS g ON g.host = v.host AND g.site IS NOT DISTINCT FROM v.site
    LEFT JOIN begun AS b ON b.host = v.host AND b.site IS NOT DISTINCT FROM v.site
    LEFT JOIN habits AS h ON h.src = v.src AND h.host = v.host AND h.visit = v.visit
        AND h.site IS NOT DISTINCT FROM v.site
    LEFT JOIN planned AS p ON p.src = v.src AND p.host = v.host AND p.visit = v.visit
        AND p.site IS NOT DISTINCT FROM v.site
    LEFT JOIN allowed AS a ON a.src = v.src AND a.host = v.host AND a.visit = v.visit
        AND a.site IS NOT DISTINCT FROM v.site
    WHERE v.logged_on OR g.host IS NULL
), levelled AS (
    SELECT *, CASE
        WHEN zone = 'public' THEN 'high'
        WHEN in_window AND coalesce(reaches, true) THEN 'informational'
        WHEN zone IN ('vendor', 'vendor_vpn_pool')
             AND (in_window = false OR reaches = false OR is_new OR unusual_hour) THEN 'high'
        WHEN unusual_hour OR (is_new AND at_night) OR (odd_hour AND at_night AND known_days >= 2) THEN 'high'
        WHEN (odd_hour AND at_night) OR far_off THEN 'medium'
        WHEN zone IN ('vpn', 'vpn_pools') THEN CASE WHEN is_new THEN 'low' ELSE 'informational' END
        WHEN is_new OR (known_days = 0 AND at_night) THEN 'medium'
        WHEN known_days = 0 THEN 'low'
        ELSE 'informational' END AS level
    FROM judged
)
SELECT site, min(begins) AS first_seen, max(ends) AS last_seen, host, [host] AS hosts,
    min(concat_ws('\', account_domain, account)) FILTER (account IS NOT NULL) AS account,
    list_distinct(flatten(list(accounts))) AS accounts, NULL::VARCHAR AS src_host, min(src_ip) AS src_ip, level,
    CASE WHEN min(basis) = 'site' THEN 0.9 WHEN zone = 'public' THEN 0.8 WHEN max(history) >= 7 THEN 0.75
         WHEN max(history) >= 1 THEN 0.6 ELSE 0.4 END AS confidence,
    MAP {'zone': zone, 'vendor': vendor, 'basis': min(basis), 'visits': CAST(count(*) AS VARCHAR),
         'outside_window': CASE WHEN bool_or(in_window = false) THEN 'yes' END,
         'new_edge': CASE WHEN bool_or(is_new) THEN 'yes' END,
         'unusual_hour': CASE WHEN bool_or(unusual_hour OR far_off OR (odd_hour AND at_night)) THEN 'yes' END,
         'at_night': CASE WHEN bool_or(at_night) THEN 'yes' END,
         'only_firewall': CASE WHEN NOT bool_or(logged_on) THEN 'yes' END,
         'known_days': CAST(min(known_days) AS VARCHAR)} AS details,
    flatten(list(events ORDER BY begins)) AS events
FROM levelled
GROUP BY site, src, host, zone, vendor, level,
    CASE WHEN level IN ('informational', 'low') THEN 0 ELSE visit END

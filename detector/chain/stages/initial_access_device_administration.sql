-- stage: initial_access_device_administration
-- step: initial_access
-- techniques: T1133, T1078
-- level: high
-- finds: an administrator's login to a firewall or VPN appliance from the Internet or from an address new to that
--   account, and the settings changed after it
-- blind: needs the event log of the appliance
-- needs: vpn_logins, firewall(site, device, time, event_type, user, evidence_id, evidence_offset)
-- parameter: known_logins = 3 fewer earlier logins do not say from where a device is usually administered
-- parameter: hours = 4 how long changes after a login are counted to it
WITH logins AS (
    SELECT * FROM vpn_logins
    WHERE kind = 'admin' AND outcome = 'success' AND src_ip IS NOT NULL
      AND NOT ip_in_network(src_ip, '127.0.0.0/8')
), first_use AS (
    SELECT site, device, account, src_ip, min(time) AS first_seen, min(src_country) AS country,
        count(DISTINCT date_trunc('day', time)) AS days
    FROM logins GROUP BY ALL
), judged AS (
    SELECT f.*, (SELECT count(*) FROM logins AS o WHERE o.device IS NOT DISTINCT FROM f.device
            AND o.site IS NOT DISTINCT FROM f.site AND o.time < f.first_seen) AS earlier,
        NOT ip_is_private(f.src_ip) AS is_public
    FROM first_use AS f
), found AS (
    SELECT * FROM judged WHERE (is_public AND days < 3) OR earlier >= $known_logins
), marks AS (
    SELECT f.site, f.device, f.account, f.src_ip, l.time, 'login' AS kind, l.evidence_id, l.evidence_offset
    FROM found AS f JOIN logins AS l ON l.src_ip = f.src_ip AND l.account IS NOT DISTINCT FROM f.account
        AND l.device IS NOT DISTINCT FROM f.device AND l.site IS NOT DISTINCT FROM f.site
    UNION ALL
    SELECT f.site, f.device, f.account, f.src_ip, c.time, 'change', c.evidence_id, c.evidence_offset
    FROM found AS f JOIN firewall AS c ON c.event_type = 'config' AND c.device IS NOT DISTINCT FROM f.device
        AND c.site IS NOT DISTINCT FROM f.site AND coalesce(lower(c."user"), f.account) IS NOT DISTINCT FROM f.account
        AND c.time BETWEEN f.first_seen AND f.first_seen + $hours * INTERVAL 1 HOUR
)
SELECT f.site, f.first_seen, max(m.time) AS last_seen, f.device AS host, [f.device] AS hosts, f.account,
    [f.account] AS accounts, NULL::VARCHAR AS src_host, f.src_ip,
    CASE WHEN f.is_public THEN 'high' WHEN count(*) FILTER (m.kind = 'change') > 0 THEN 'medium' ELSE 'low' END
        AS level,
    CASE WHEN f.is_public THEN 0.8 ELSE 0.5 END AS confidence,
    MAP {'country': f.country, 'changes': CAST(count(*) FILTER (m.kind = 'change') AS VARCHAR),
         'earlier_logins': CAST(f.earlier AS VARCHAR)} AS details,
    list({'evidence_id': m.evidence_id, 'evidence_offset': m.evidence_offset}
         ORDER BY m.time, m.evidence_id, m.evidence_offset) AS events
FROM found AS f
JOIN marks AS m ON m.src_ip = f.src_ip AND m.account IS NOT DISTINCT FROM f.account
    AND m.device IS NOT DISTINCT FROM f.device AND m.site IS NOT DISTINCT FROM f.site
GROUP BY f.site, f.device, f.account, f.src_ip, f.first_seen, f.country, f.is_public, f.earlier

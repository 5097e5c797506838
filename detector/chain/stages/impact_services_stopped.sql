-- stage: impact_services_stopped
-- step: impact
-- techniques: T1489
-- level: high
-- finds: many services of a host stopped, or many programs killed, within minutes, and not by a shutdown
-- blind: stops are in the System log up to Windows 8.1 / Server 2012 R2 and partly later; the commands need Sysmon or
--   process auditing
-- needs: sabotage, services
-- needs: windows_system(site, TimeCreated, EventID, Provider_Name, Computer)
-- parameter: window_minutes = 5 a script stops its list in seconds; services take up to minutes to stop
-- parameter: services = 10 different services; an update stops a few, an administrator one product
-- parameter: factor = 2.0 more than this times the widest such window of the host on other days
-- parameter: shutdown_minutes = 10 all services stop when Windows shuts down, and updates shut it down
WITH signs AS (
    SELECT *, time_bucket($window_minutes * INTERVAL 1 MINUTE, time) AS slot,
        CASE kind WHEN 'service_stopped' THEN lower(detail) ELSE lower(detail) END AS what
    FROM sabotage WHERE kind IN ('service_stopped', 'stop_command')
), shutdowns AS (
    SELECT site, upper(split_part(Computer, '.', 1)) AS host, TimeCreated AS time FROM windows_system
    WHERE (EventID IN (6006, 6008) AND Provider_Name = 'EventLog') OR (EventID = 1074 AND Provider_Name = 'User32')
       OR (EventID IN (13, 109) AND Provider_Name IN ('Microsoft-Windows-Kernel-General', 'Microsoft-Windows-Kernel-Power'))
), down AS (
    SELECT DISTINCT s.site, s.host, s.slot FROM signs AS s JOIN shutdowns AS d ON d.host = s.host
        AND d.site IS NOT DISTINCT FROM s.site
        AND d.time BETWEEN s.time - INTERVAL 1 MINUTE AND s.time + $shutdown_minutes * INTERVAL 1 MINUTE
), slots AS (
    SELECT s.site, s.host, s.slot, greatest(count(DISTINCT s.what) FILTER (s.kind = 'service_stopped'),
            count(DISTINCT s.what) FILTER (s.kind = 'stop_command')) AS stopped
    FROM signs AS s ANTI JOIN down AS d ON d.host = s.host AND d.slot = s.slot AND d.site IS NOT DISTINCT FROM s.site
    GROUP BY ALL
), days AS (
    SELECT site, host, CAST(slot AS DATE) AS day, max(stopped) AS stopped FROM slots GROUP BY ALL
), hits AS (
    SELECT s.site, s.host, s.slot, s.stopped, max(d.stopped) AS usual
    FROM slots AS s LEFT JOIN days AS d ON d.host = s.host AND d.site IS NOT DISTINCT FROM s.site
        AND d.day <> CAST(s.slot AS DATE)
    WHERE s.stopped >= $services GROUP BY ALL
)
SELECT s.site, min(s.time) AS first_seen, max(s.time) AS last_seen, s.host, [s.host] AS hosts,
    min(concat_ws('\', s.account_domain, s.account)) FILTER (s.account <> 'system' AND NOT ends_with(s.account, '$')) AS account,
    CASE WHEN bool_or(s.kind = 'stop_command') THEN 'high' ELSE 'medium' END AS level,
    CASE WHEN bool_or(s.kind = 'stop_command') THEN 0.85 ELSE 0.6 END AS confidence,
    MAP {'stopped': CAST(max(h.stopped) AS VARCHAR), 'usual': CAST(coalesce(max(h.usual), 0) AS VARCHAR),
         'names': array_to_string(list_sort(list(DISTINCT s.detail))[1:10], ', ')[1:500]} AS details,
    list({'evidence_id': s.evidence_id, 'evidence_offset': s.evidence_offset}
         ORDER BY s.time, s.evidence_id, s.evidence_offset) AS events
FROM hits AS h
JOIN signs AS s ON s.host = h.host AND s.slot = h.slot AND s.site IS NOT DISTINCT FROM h.site
WHERE h.stopped > $factor * coalesce(h.usual, 0)
GROUP BY s.site, s.host, time_bucket(INTERVAL 1 HOUR, h.slot)

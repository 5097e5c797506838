-- stage: discovery_network_scan
-- step: discovery
-- techniques: T1046, T1018
-- level: medium
-- finds: one machine tries very many machines or ports inside within minutes, as it does on no other day
-- blind: needs a firewall between source and destinations, or filtering platform / Sysmon logs of the source
-- needs: network_flows
-- parameter: window_minutes = 10 a scanner slow enough to spread over more is not told from work by counting
-- parameter: targets = 25 machines (one port) or ports (one machine) within a window; workstations talk to a few servers
-- parameter: factor = 3.0 more than this times the source's own widest window on other days
-- parameter: habit_days = 3 days with such windows make a scanner or monitor of the IT department
WITH flows AS (
    SELECT time, site, src_ip, dst_ip, dst_port, action, evidence_id, evidence_offset,
        time_bucket($window_minutes * INTERVAL 1 MINUTE, time) AS slot
    FROM network_flows
    WHERE src_ip IS NOT NULL AND dst_ip IS NOT NULL AND src_ip <> dst_ip AND coalesce(protocol, 'tcp') <> 'udp'
      AND ip_is_private(dst_ip)
), slots AS (
    SELECT site, src_ip, slot, count(DISTINCT dst_ip) AS machines, count(DISTINCT dst_port) AS ports,
        count(DISTINCT (dst_ip, dst_port)) AS pairs, count(*) FILTER (action = 'deny') AS denied, count(*) AS flows
    FROM flows GROUP BY ALL
), deep AS (
    SELECT site, src_ip, slot, max(ports) AS ports FROM (
        SELECT site, src_ip, slot, dst_ip, count(DISTINCT dst_port) FILTER (dst_port < 49152) AS ports
        FROM flows GROUP BY ALL) GROUP BY ALL
), wide AS (
    SELECT site, src_ip, slot, max(machines) AS machines FROM (
        SELECT site, src_ip, slot, dst_port, count(DISTINCT dst_ip) AS machines FROM flows GROUP BY ALL) GROUP BY ALL
), measured AS (
    SELECT s.*, greatest(w.machines, d.ports) AS extent, w.machines AS wide, d.ports AS deep
    FROM slots AS s
    JOIN wide AS w ON w.src_ip = s.src_ip AND w.slot = s.slot AND w.site IS NOT DISTINCT FROM s.site
    JOIN deep AS d ON d.src_ip = s.src_ip AND d.slot = s.slot AND d.site IS NOT DISTINCT FROM s.site
), days AS (
    SELECT site, src_ip, CAST(slot AS DATE) AS day, max(extent) AS extent FROM measured GROUP BY ALL
), habits AS (
    SELECT site, src_ip FROM days WHERE extent >= $targets GROUP BY ALL HAVING count(*) >= $habit_days
), hits AS (
    SELECT m.* FROM measured AS m
    ANTI JOIN habits AS h ON h.src_ip = m.src_ip AND h.site IS NOT DISTINCT FROM m.site
    WHERE m.extent >= $targets
), usual AS (
    SELECT h.site, h.src_ip, h.slot, max(d.extent) AS extent
    FROM hits AS h JOIN days AS d ON d.src_ip = h.src_ip AND d.site IS NOT DISTINCT FROM h.site
        AND d.day < CAST(h.slot AS DATE)
    GROUP BY ALL
), found AS (
    SELECT h.*, CASE WHEN h.slot - lag(h.slot) OVER w <= 2 * $window_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM hits AS h LEFT JOIN usual AS u ON u.src_ip = h.src_ip AND u.slot = h.slot AND u.site IS NOT DISTINCT FROM h.site
    WHERE h.extent > $factor * coalesce(u.extent, 0)
    WINDOW w AS (PARTITION BY h.site, h.src_ip ORDER BY h.slot)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, src_ip ORDER BY slot ROWS UNBOUNDED PRECEDING) AS burst FROM found
), scans AS (
    SELECT site, src_ip, burst, max(wide) AS wide, max(deep) AS deep, CAST(sum(denied) AS BIGINT) AS denied,
        CAST(sum(flows) AS BIGINT) AS flows
    FROM numbered GROUP BY ALL
)
SELECT s.site, min(f.time) AS first_seen, max(f.time) AS last_seen, NULL::VARCHAR AS host, []::VARCHAR[] AS hosts,
    s.src_ip, CASE WHEN s.denied * 2 >= s.flows THEN 'high' ELSE 'medium' END AS level,
    CASE WHEN s.denied > 0 THEN 0.8 ELSE 0.6 END AS confidence,
    MAP {'machines': CAST(count(DISTINCT f.dst_ip) AS VARCHAR), 'ports': CAST(count(DISTINCT f.dst_port) AS VARCHAR),
         'denied': CAST(s.denied AS VARCHAR), 'flows': CAST(s.flows AS VARCHAR),
         'main_ports': array_to_string(list_sort(list(DISTINCT f.dst_port))[1:20], ', ')} AS details,
    list({'evidence_id': f.evidence_id, 'evidence_offset': f.evidence_offset}
         ORDER BY f.time, f.evidence_id, f.evidence_offset) AS events
FROM scans AS s
JOIN numbered AS n ON n.src_ip = s.src_ip AND n.burst = s.burst AND n.site IS NOT DISTINCT FROM s.site
JOIN flows AS f ON f.src_ip = n.src_ip AND f.slot = n.slot AND f.site IS NOT DISTINCT FROM n.site
GROUP BY s.site, s.src_ip, s.burst, s.denied, s.flows

-- stage: impact_same_new_program
-- step: impact
-- techniques: T1486, T1570
-- level: high
-- finds: the same program, never seen before, starts on many hosts within a short time from a folder that software is
--   not installed to
-- blind: needs Sysmon or process auditing on the hosts; ransomware run from one host over shares starts on that one only
-- needs: processes
-- parameter: gap_minutes = 120 hosts are reached one after the other
-- parameter: hosts = 5 hosts; an administrator tries a tool on one or two
-- parameter: habit_days = 3 days on which it is seen make it software of the house
WITH starts AS (
    SELECT time, site, host, image, image_name, account, account_domain, evidence_id, evidence_offset,
        nullif(upper(regexp_extract(hashes, 'SHA256=([0-9A-Fa-f]{64})', 1)), '') AS hash
    FROM processes
    WHERE regexp_matches(lower(image), '^[^c]:|^\\\\|\\users\\|\\temp\\|\\perflogs\\|\\\$recycle\.bin\\|^c:\\[^\\]+$|^c:\\programdata\\[^\\]+$|^c:\\windows\\[^\\]+$|\\(music|pictures|videos|public|intel|admin\$)\\')
      AND image_name NOT IN ('explorer.exe', 'notepad.exe', 'regedit.exe', 'hh.exe', 'splwow64.exe', 'winhlp32.exe', 'write.exe', 'bfsvc.exe', 'helppane.exe', 'sysmon.exe', 'sysmon64.exe')
      AND NOT regexp_matches(image_name, '^(psexe|paexe|remcom|csexec|winexe)')
      AND NOT regexp_matches(lower(image), '\\appdata\\local\\(microsoft|google|programs|slack|zoom)\\|\\appdata\\roaming\\zoom\\')
), renamed AS (
    SELECT site, hash FROM starts WHERE hash IS NOT NULL GROUP BY ALL HAVING count(DISTINCT image_name) > 1
), started AS (
    SELECT *, image_name AS program FROM starts
    UNION ALL
    SELECT s.*, s.hash FROM starts AS s JOIN renamed AS r ON r.hash = s.hash AND r.site IS NOT DISTINCT FROM s.site
), habits AS (
    SELECT site, program FROM started GROUP BY ALL HAVING count(DISTINCT CAST(time AS DATE)) >= $habit_days
), first_on_host AS (
    SELECT s.site, s.program, s.host, min(s.time) AS time FROM started AS s
    ANTI JOIN habits AS h ON h.program = s.program AND h.site IS NOT DISTINCT FROM s.site GROUP BY ALL
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM first_on_host WINDOW w AS (PARTITION BY site, program ORDER BY time, host)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, program ORDER BY time, host ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, program, burst, min(time) AS begins, max(time) AS ends, count(*) AS reached FROM numbered
    GROUP BY ALL HAVING count(*) >= $hosts
)
SELECT b.site, b.begins AS first_seen, max(s.time) AS last_seen, NULL::VARCHAR AS host, list(DISTINCT s.host) AS hosts,
    CASE WHEN count(DISTINCT s.account) FILTER (s.account <> 'system' AND NOT ends_with(s.account, '$')) = 1
         THEN min(s.account) FILTER (s.account <> 'system' AND NOT ends_with(s.account, '$')) END AS account,
    list(DISTINCT s.account) FILTER (s.account <> 'system' AND NOT ends_with(s.account, '$')) AS accounts, CASE WHEN b.reached >= 4 * $hosts THEN 'critical' ELSE 'high' END AS level,
    0.8 AS confidence,
    MAP {'host_count': CAST(b.reached AS VARCHAR), 'program': min(s.image), 'hash': min(s.hash),
         'minutes': CAST(CAST(epoch(b.ends - b.begins) / 60 AS INTEGER) AS VARCHAR)} AS details,
    list({'evidence_id': s.evidence_id, 'evidence_offset': s.evidence_offset}
         ORDER BY s.time, s.evidence_id, s.evidence_offset) AS events
FROM bursts AS b
JOIN started AS s ON s.program = b.program AND s.site IS NOT DISTINCT FROM b.site AND s.time BETWEEN b.begins AND b.ends
GROUP BY b.site, b.program, b.burst, b.begins, b.ends, b.reached

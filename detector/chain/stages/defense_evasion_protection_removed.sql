-- stage: defense_evasion_protection_removed
-- step: defense_evasion
-- techniques: T1562.001
-- level: high
-- finds: antivirus uninstalled, switched off or stopped for good on a host, and the remote session it happened in. An
--   upgrade (another version or product installed around the removal), a restart and a shutdown are none of it
-- blind: needs the Application log (Windows Installer), System (services) or Defender's own; products that do not use
--   Windows Installer are seen by their services only
-- needs: antivirus_changes, remote_desktop_sessions, logons, windows_system(site, TimeCreated, EventID, Provider_Name, Computer)
-- parameter: upgrade_minutes = 60 an upgrade removes the old version and installs or starts the new one within this
-- parameter: session_hours = 8 a remote session opened longer ago is another working day's
-- parameter: shutdown_minutes = 5 services stop when Windows shuts down
WITH changes AS (
    SELECT * FROM antivirus_changes
), repaired AS (
    SELECT l.site, l.host, l.evidence_id, l.evidence_offset
    FROM changes AS l JOIN changes AS r ON r.host = l.host AND r.site IS NOT DISTINCT FROM l.site
        -- What was installed before a removal replaces it, unless it is the very thing that is removed again.
        AND ((l.action = 'removed' AND r.action = 'installed'
              AND r.time BETWEEN l.time - $upgrade_minutes * INTERVAL 1 MINUTE AND l.time + $upgrade_minutes * INTERVAL 1 MINUTE
              AND NOT (r.time <= l.time AND r.product = l.product AND r.detail = l.detail AND l.detail <> ''))
          OR (l.action IN ('stopped', 'crashed', 'disabled') AND r.time >= l.time
              AND r.time <= l.time + $upgrade_minutes * INTERVAL 1 MINUTE
              AND ((r.vendor = l.vendor AND r.action IN ('started', 'enabled', 'installed', 'updated'))
                   OR (l.vendor = 'microsoft' AND r.action = 'installed')))
          OR (l.action IN ('stopped', 'disabled') AND l.vendor = 'microsoft' AND r.action = 'installed'
              AND r.time BETWEEN l.time - $upgrade_minutes * INTERVAL 1 MINUTE AND l.time))
    WHERE l.action IN ('removed', 'stopped', 'crashed', 'disabled')
    GROUP BY ALL
), shutdowns AS (
    SELECT site, upper(split_part(Computer, '.', 1)) AS host, TimeCreated AS time FROM windows_system
    WHERE (EventID IN (6006, 6008) AND Provider_Name = 'EventLog') OR (EventID = 1074 AND Provider_Name = 'User32')
       OR (EventID IN (13, 109) AND Provider_Name IN ('Microsoft-Windows-Kernel-General', 'Microsoft-Windows-Kernel-Power'))
), by_shutdown AS (
    SELECT c.site, c.host, c.evidence_id, c.evidence_offset
    FROM changes AS c JOIN shutdowns AS s ON s.host = c.host AND s.site IS NOT DISTINCT FROM c.site
        AND s.time BETWEEN c.time - $shutdown_minutes * INTERVAL 1 MINUTE AND c.time + $shutdown_minutes * INTERVAL 1 MINUTE
    WHERE c.action IN ('stopped', 'crashed') GROUP BY ALL
), lasting AS (
    SELECT c.* FROM changes AS c
    ANTI JOIN repaired AS r ON r.evidence_id = c.evidence_id AND r.evidence_offset = c.evidence_offset
    ANTI JOIN by_shutdown AS s ON s.evidence_id = c.evidence_id AND s.evidence_offset = c.evidence_offset
    WHERE c.action IN ('removed', 'disabled', 'stopped', 'exclusion')
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= INTERVAL 1 HOUR THEN 0 ELSE 1 END AS starts
    FROM lasting WINDOW w AS (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, host, burst, min(time) AS begins, max(time) AS ends, list(DISTINCT action) AS actions,
        list(DISTINCT product) AS products, bool_or(expected) AS expected, min(account_sid) FILTER (account_sid LIKE 'S-1-5-21-%') AS account_sid,
        list({'time': time, 'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
             ORDER BY time, evidence_id, evidence_offset) AS marks
    FROM numbered GROUP BY ALL
), sessions AS (
    SELECT b.site, b.host, b.burst, arg_max(s.account, s.time) AS account,
        arg_max(s.account_domain, s.time) AS account_domain, arg_max(s.src_ip, s.time) AS src_ip,
        arg_max({'time': s.time, 'evidence_id': s.evidence_id, 'evidence_offset': s.evidence_offset}, s.time) AS mark
    FROM bursts AS b JOIN remote_desktop_sessions AS s ON s.host = b.host AND s.site IS NOT DISTINCT FROM b.site
        AND s.phase IN ('logon', 'reconnect') AND s.src_ip IS NOT NULL
        AND s.time BETWEEN b.begins - $session_hours * INTERVAL 1 HOUR AND b.begins
    GROUP BY ALL
), persons AS (
    SELECT b.site, b.host, b.burst, min(l.account) AS account, min(l.account_domain) AS account_domain
    FROM bursts AS b JOIN logons AS l ON l.host = b.host AND l.account_sid = b.account_sid
        AND l.site IS NOT DISTINCT FROM b.site
    GROUP BY ALL
)
SELECT b.site, b.begins AS first_seen, b.ends AS last_seen, b.host, [b.host] AS hosts,
    coalesce(CASE WHEN p.account IS NOT NULL THEN concat_ws('\', p.account_domain, p.account) END,
             CASE WHEN s.account IS NOT NULL THEN concat_ws('\', s.account_domain, s.account) END) AS account,
    NULL::VARCHAR AS src_host, CASE WHEN p.account IS NULL OR p.account = s.account THEN s.src_ip END AS src_ip,
    CASE WHEN s.mark IS NULL AND b.expected = false THEN 'low'
         WHEN list_contains(b.actions, 'removed') OR list_contains(b.actions, 'disabled')
         THEN CASE WHEN s.mark IS NOT NULL THEN 'high' ELSE 'medium' END
         WHEN s.mark IS NOT NULL THEN 'medium' ELSE 'low' END AS level,
    CASE WHEN list_contains(b.actions, 'removed') THEN 0.85 WHEN list_contains(b.actions, 'disabled') THEN 0.75
         ELSE 0.5 END + CASE b.expected WHEN true THEN 0.1 WHEN false THEN -0.2 ELSE 0 END AS confidence,
    MAP {'actions': array_to_string(list_sort(b.actions), ', '), 'products': array_to_string(list_sort(b.products)[1:20], ', '),
         'in_remote_session': CASE WHEN s.mark IS NULL THEN 'no' ELSE 'yes' END,
         'expected': CASE b.expected WHEN true THEN 'yes' WHEN false THEN 'no' END, 'account_sid': b.account_sid} AS details,
    list_transform(list_sort(CASE WHEN s.mark IS NULL THEN b.marks ELSE list_append(b.marks, s.mark) END),
        lambda m: {'evidence_id': m.evidence_id, 'evidence_offset': m.evidence_offset}) AS events
FROM bursts AS b
LEFT JOIN sessions AS s ON s.host = b.host AND s.burst = b.burst AND s.site IS NOT DISTINCT FROM b.site
LEFT JOIN persons AS p ON p.host = b.host AND p.burst = b.burst AND p.site IS NOT DISTINCT FROM b.site

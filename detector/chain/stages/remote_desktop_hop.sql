-- stage: remote_desktop_hop
-- step: remote_desktop
-- techniques: T1021.001
-- level: medium
-- finds: remote desktop onward from a host that was itself entered by remote desktop shortly before, along a way
--   never taken before; or from one machine to several others that it never reached. A way that begins outside is left
--   to remote_desktop_from_outside
-- blind: needs the Security or TerminalServices logs of the host that was reached, and for the hop of the one between
-- needs: logon_attempts, logon_edges, address_zones, site_accounts(site, account, kind)
-- parameter: hop_hours = 8 a session that was opened longer ago is another working day's
-- parameter: gap_minutes = 120 as in lateral_movement_shared_password
-- parameter: hosts = 3 machines newly reached in a row, without an inbound session seen
-- parameter: many = 10 as in lateral_movement_shared_password: fewer are the round of an administrator whom site.toml names
-- parameter: earlier_days = 1.0 days of log before a way can be called new
WITH sessions AS (
    SELECT a.* FROM logon_attempts AS a WHERE a.logon_type = 10 AND a.outcome = 'success'
), ways AS (
    SELECT s.site, s.src, s.host, min(s.time) AS first_seen, min(s.src_ip) AS src_ip, min(s.account) AS account,
        min(s.account_domain) AS account_domain, max(e.history_days) AS history, bool_and(e.is_new) AS is_new,
        bool_and(e.is_habitual) AS is_habitual,
        count(DISTINCT CAST(s.time AS DATE)) AS days
    FROM sessions AS s JOIN logon_edges AS e ON e.src = s.src AND e.account = s.account AND e.host = s.host
        AND e.site IS NOT DISTINCT FROM s.site
    LEFT JOIN address_zones AS z ON z.ip = s.src_ip AND z.site IS NOT DISTINCT FROM s.site
    WHERE coalesce(z.zone, 'inside') IN ('inside', 'servers', 'clients', 'local')
    GROUP BY s.site, s.src, s.host
), marks_of AS (
    SELECT w.site, w.src, w.host, max(s.time) AS last_time,
        list({'time': s.time, 'evidence_id': s.evidence_id, 'evidence_offset': s.evidence_offset}
             ORDER BY s.time, s.evidence_id, s.evidence_offset) AS marks
    FROM ways AS w JOIN sessions AS s ON s.src = w.src AND s.host = w.host AND s.site IS NOT DISTINCT FROM w.site
        AND s.time <= w.first_seen + $hop_hours * INTERVAL 1 HOUR
    WHERE w.is_new
    GROUP BY ALL
), inbound AS (
    SELECT w.site, w.src, w.host, arg_max(i.src, i.time) AS from_src, arg_max(i.account, i.time) AS from_account,
        max(i.time) AS time,
        arg_max({'evidence_id': i.evidence_id, 'evidence_offset': i.evidence_offset, 'time': i.time}, i.time) AS mark
    FROM ways AS w JOIN sessions AS i ON i.host = w.src AND i.site IS NOT DISTINCT FROM w.site
        AND i.time BETWEEN w.first_seen - $hop_hours * INTERVAL 1 HOUR AND w.first_seen
    WHERE w.is_new AND i.src <> w.host
    GROUP BY ALL
), marked AS (
    SELECT w.*, m.marks, m.last_time, i.from_src, i.from_account, i.mark,
        CASE WHEN w.first_seen - lag(w.first_seen) OVER o <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM ways AS w
    JOIN marks_of AS m ON m.src = w.src AND m.host = w.host AND m.site IS NOT DISTINCT FROM w.site
    LEFT JOIN inbound AS i ON i.src = w.src AND i.host = w.host AND i.site IS NOT DISTINCT FROM w.site
    WHERE w.is_new
    WINDOW o AS (PARTITION BY w.site, w.src ORDER BY w.first_seen, w.host)
), known AS (
    SELECT DISTINCT site, lower(account) AS account FROM site_accounts WHERE kind = 'administrator'
), numbered AS (
    SELECT *, EXISTS (SELECT 1 FROM known AS k WHERE k.account = marked.account
            AND coalesce(k.site, marked.site) IS NOT DISTINCT FROM marked.site) AS is_known,
        sum(starts) OVER (PARTITION BY site, src ORDER BY first_seen, host ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
)
SELECT site, min(first_seen) AS first_seen, max(last_time) AS last_seen,
    CASE WHEN count(*) = 1 THEN min(host) END AS host, list(DISTINCT host) AS hosts,
    CASE WHEN count(DISTINCT account) = 1 THEN min(concat_ws('\', account_domain, account)) END AS account,
    list(DISTINCT account) AS accounts, any_value(CASE WHEN ip_normal(src) IS NULL THEN src END) AS src_host,
    min(src_ip) AS src_ip,
    CASE WHEN count(*) >= $hosts AND count(from_src) > 0 THEN 'high'
         WHEN count(*) < $hosts AND bool_and(days >= 2) THEN 'low'
         WHEN count(from_src) = 0 AND count(*) < $many AND bool_and(is_known) THEN 'low' ELSE 'medium' END AS level,
    CASE WHEN max(history) >= 7 THEN 0.8 WHEN max(history) >= $earlier_days THEN 0.7 ELSE 0.5 END AS confidence,
    MAP {'host_count': CAST(count(*) AS VARCHAR), 'entered_from': min(from_src), 'entered_as': min(from_account)} AS details,
    list_transform(list_sort(list_concat(
            flatten(list(marks)),
            list({'time': mark.time, 'evidence_id': mark.evidence_id, 'evidence_offset': mark.evidence_offset})
                FILTER (mark IS NOT NULL))),
        lambda m: {'evidence_id': m.evidence_id, 'evidence_offset': m.evidence_offset}) AS events
FROM numbered
GROUP BY site, src, burst
HAVING count(*) >= $hosts OR count(from_src) > 0

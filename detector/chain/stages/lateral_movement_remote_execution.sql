-- stage: lateral_movement_remote_execution
-- step: lateral_movement
-- techniques: T1021.002, T1569.002, T1053.005
-- level: medium
-- finds: a service or scheduled task made on a host by somebody who came in over the network for it
-- blind: 7045 alone (default auditing) is joined to a logon by the account's SID and time; 4697 / 4698 by the logon id
-- needs: services, scheduled_tasks, logons, log_clears
-- parameter: minutes = 5 a tool makes its service within seconds of the logon; slow links and hand work need minutes
-- parameter: single_hosts = 10 up to that many hosts in a row each have a finding; a wave over more is one finding
-- parameter: habit_days = 3 the same service or task made on that many days is a deployment or backup agent
WITH made AS (
    SELECT time, site, host, 'service' AS kind, service_name AS name, image_path AS command, account, account_domain,
        account_sid, logon_id, evidence_id, evidence_offset
    FROM services WHERE action = 'installed'
    UNION ALL
    SELECT time, site, host, 'task', task_name, command, account, account_domain, NULL, logon_id, evidence_id,
        evidence_offset
    FROM scheduled_tasks WHERE action IN ('registered', 'updated') AND source = 'windows_security'
      AND NOT ends_with(account, '$')
), habits AS (
    SELECT site, kind, name FROM made GROUP BY ALL HAVING count(DISTINCT CAST(time AS DATE)) >= $habit_days
), candidates AS (
    SELECT m.* FROM made AS m
    ANTI JOIN habits AS h ON h.kind = m.kind AND h.name = m.name AND h.site IS NOT DISTINCT FROM m.site
), entries AS (
    SELECT time, site, host, account, account_domain, account_sid, logon_id, src_ip, src_host, evidence_id,
        evidence_offset
    FROM logons
    WHERE outcome = 'success' AND is_remote AND logon_type = 3 AND NOT is_anonymous AND NOT is_system
), joined AS (
    SELECT m.*, e.time AS entry_time, e.src_ip, e.src_host, e.account AS entry_account,
        e.account_domain AS entry_domain, e.evidence_id AS entry_id, e.evidence_offset AS entry_offset, 0.9 AS sure
    FROM candidates AS m JOIN entries AS e ON e.host = m.host AND e.logon_id = m.logon_id
        AND e.site IS NOT DISTINCT FROM m.site AND e.time <= m.time + INTERVAL 1 SECOND
    WHERE m.logon_id NOT IN ('0x3e7', '0x3e4', '0x3e5')
    UNION ALL
    SELECT m.*, e.time, e.src_ip, e.src_host, e.account, e.account_domain, e.evidence_id, e.evidence_offset, 0.7
    FROM candidates AS m JOIN entries AS e ON e.host = m.host AND e.account_sid = m.account_sid
        AND e.site IS NOT DISTINCT FROM m.site
        AND e.time BETWEEN m.time - $minutes * INTERVAL 1 MINUTE AND m.time + INTERVAL 1 SECOND
    WHERE m.logon_id IS NULL
), nearest AS (
    SELECT * FROM joined
    QUALIFY row_number() OVER (PARTITION BY evidence_id, evidence_offset
        ORDER BY sure DESC, src_ip IS NULL, entry_time DESC, entry_id, entry_offset) = 1
), marked AS (
    SELECT *, coalesce(src_ip, src_host) AS src, CASE WHEN time - lag(time) OVER w <= INTERVAL 1 HOUR THEN 0 ELSE 1 END AS starts
    FROM nearest
    WINDOW w AS (PARTITION BY site, coalesce(src_ip, src_host), entry_account ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, src, entry_account ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), waves AS (
    SELECT site, src, entry_account, burst, count(DISTINCT host) AS reached FROM numbered GROUP BY ALL
), grouped AS (
    SELECT n.*, CASE WHEN w.reached <= $single_hosts THEN n.host END AS one_host
    FROM numbered AS n JOIN waves AS w ON w.src IS NOT DISTINCT FROM n.src AND w.entry_account = n.entry_account
        AND w.burst = n.burst AND w.site IS NOT DISTINCT FROM n.site
)
SELECT site, min(least(entry_time, time)) AS first_seen, max(time) AS last_seen, one_host AS host,
    list(DISTINCT host) AS hosts,
    CASE WHEN count(DISTINCT entry_domain) = 1 THEN concat_ws('\', min(entry_domain), entry_account)
         ELSE entry_account END AS account,
    list(DISTINCT concat_ws('\', entry_domain, entry_account)) AS accounts, min(src_host) AS src_host, min(src_ip) AS src_ip,
    CASE WHEN bool_or(regexp_matches(lower(coalesce(command, '')), 'cmd(\.exe)?\s|%comspec%|powershell|rundll32|mshta|\\temp\\|\\users\\|admin\$|psexe|paexe|remcom|\\windows\\[^\\\s]+\.exe|%systemroot%\\[^\\\s]+\.exe|\.(bat|ps1|vbs|dll)\b'))
         THEN 'high'
         WHEN bool_and(regexp_matches(lower(coalesce(command, '')), '^"?(c:|%programfiles%)\\program files( \(x86\))?\\')) THEN 'low'
         ELSE 'medium' END AS level,
    max(sure) AS confidence,
    MAP {'host_count': CAST(count(DISTINCT host) AS VARCHAR), 'kinds': array_to_string(list_sort(list(DISTINCT kind)), ', '),
         'names': array_to_string(list_sort(list(DISTINCT name))[1:10], ', '),
         'command': min(command)[1:300]} AS details,
    list_transform(list_sort(list_concat(
            list({'time': time, 'evidence_id': evidence_id, 'evidence_offset': evidence_offset}),
            list({'time': entry_time, 'evidence_id': entry_id, 'evidence_offset': entry_offset}))),
        lambda m: {'evidence_id': m.evidence_id, 'evidence_offset': m.evidence_offset}) AS events
FROM grouped
GROUP BY site, src, entry_account, burst, one_host

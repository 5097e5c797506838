-- stage: lateral_movement_admin_share_tools
-- step: lateral_movement
-- techniques: T1021.002, T1570, T1569.002
-- level: medium
-- finds: programs written to the administrative shares of hosts, or the named pipes of remote execution tools opened
-- blind: needs detailed file share auditing (5145) or, for pipes, Sysmon 17 / 18
-- needs: share_access
-- needs: windows_sysmon(site, TimeCreated, EventID, Computer, PipeName, Image, User, evidence_id, evidence_offset)
-- parameter: gap_minutes = 60 what one source does within this on the hosts is one act
-- parameter: hosts = 3 hosts from which on it is a spread
-- parameter: habit_days = 3 the same file written by the same account on that many days is a deployment
WITH signs AS (
    SELECT time, site, host, account, account_domain, src_ip, CASE WHEN share = 'IPC$' THEN 'pipe' ELSE 'program' END AS kind,
        target, evidence_id, evidence_offset
    FROM share_access
    WHERE NOT ends_with(account, '$') AND NOT ip_in_network(coalesce(src_ip, ''), '127.0.0.0/8')
      AND ((is_admin_share AND is_write
            AND regexp_matches(lower(target), '\.(exe|dll|bat|cmd|ps1|vbs|js|hta|scr|msi)$'))
           OR (share = 'IPC$' AND regexp_matches(lower(target), '^(psexe|paexe|remcom|csexec|winexe|ahexec)|-(stdin|stdout|stderr)$')))
    UNION ALL
    SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), lower(split_part("User", '\', -1)), NULL, NULL,
        'pipe', PipeName, evidence_id, evidence_offset
    FROM windows_sysmon
    WHERE EventID IN (17, 18) AND regexp_matches(lower(PipeName), '^\\(psexe|paexe|remcom|csexec|winexe|ahexec)|-(stdin|stdout|stderr)$')
), habits AS (
    SELECT site, account, lower(split_part(target, '\', -1)) AS file FROM signs
    GROUP BY ALL HAVING count(DISTINCT CAST(time AS DATE)) >= $habit_days
), fresh AS (
    SELECT s.* FROM signs AS s ANTI JOIN habits AS h ON h.account IS NOT DISTINCT FROM s.account
        AND h.file = lower(split_part(s.target, '\', -1)) AND h.site IS NOT DISTINCT FROM s.site
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM fresh WINDOW w AS (PARTITION BY site, coalesce(src_ip, host), account ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, coalesce(src_ip, host), account
        ORDER BY time, evidence_id, evidence_offset ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
)
SELECT site, min(time) AS first_seen, max(time) AS last_seen,
    CASE WHEN count(DISTINCT host) = 1 THEN min(host) END AS host, list(DISTINCT host) AS hosts,
    CASE WHEN count(DISTINCT account_domain) = 1 THEN min(concat_ws('\', account_domain, account))
         ELSE min(account) END AS account, min(src_ip) AS src_ip,
    CASE WHEN count(DISTINCT host) >= $hosts OR bool_or(kind = 'pipe') THEN 'high' ELSE 'medium' END AS level,
    CASE WHEN bool_or(kind = 'pipe') THEN 0.85 ELSE 0.65 END AS confidence,
    MAP {'host_count': CAST(count(DISTINCT host) AS VARCHAR), 'kinds': array_to_string(list_sort(list(DISTINCT kind)), ', '),
         'targets': array_to_string(list_sort(list(DISTINCT target))[1:10], ', ')} AS details,
    list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
         ORDER BY time, evidence_id, evidence_offset) AS events
FROM numbered GROUP BY site, coalesce(src_ip, host), account, burst

-- stage: lateral_movement_new_account
-- step: lateral_movement
-- techniques: T1136, T1098, T1078
-- level: medium
-- finds: an account was made or raised to administrator and then used from another machine
-- blind: needs the Security log of the host (local accounts) or of the controllers (domain accounts)
-- needs: account_changes, logon_attempts
-- parameter: raise_hours = 1 an account that is raised later than this after it was made followed two decisions
-- parameter: use_days = 7 a use later than this is that of an ordinary new account
WITH made AS (
    SELECT * FROM account_changes WHERE action IN ('created', 'enabled', 'password_reset') AND NOT ends_with(target, '$')
), raised AS (
    SELECT * FROM account_changes WHERE action = 'member_added' AND is_privileged
), pairs AS (
    SELECT r.site, r.host, r.time, r.account, r.account_domain, m.time AS made_time, m.action,
        coalesce(m.target, nullif(split_part(split_part(r.member, 'cn=', 2), ',', 1), '')) AS target, r.member_sid,
        m.evidence_id AS made_id, m.evidence_offset AS made_offset, r.evidence_id, r.evidence_offset
    FROM raised AS r LEFT JOIN made AS m ON m.host = r.host AND m.target_sid = r.member_sid
        AND m.site IS NOT DISTINCT FROM r.site
        AND m.time BETWEEN r.time - $raise_hours * INTERVAL 1 HOUR AND r.time + $raise_hours * INTERVAL 1 HOUR
), used AS (
    SELECT p.evidence_id, p.evidence_offset, min(a.time) AS time, arg_min(a.src, a.time) AS src,
        arg_min(a.src_ip, a.time) AS src_ip, list(DISTINCT a.host) AS hosts,
        list({'time': a.time, 'evidence_id': a.evidence_id, 'evidence_offset': a.evidence_offset}) AS marks
    FROM pairs AS p JOIN logon_attempts AS a ON a.account = p.target AND a.site IS NOT DISTINCT FROM p.site
        AND a.outcome = 'success' AND (NOT a.is_local_account OR a.host = p.host)
        AND a.time BETWEEN p.time AND p.time + $use_days * INTERVAL 1 DAY
    WHERE p.made_time IS NOT NULL
    GROUP BY ALL
), found AS (
    SELECT p.*, u.time AS use_time, u.src, u.src_ip, u.hosts AS used_on, u.marks
    FROM pairs AS p
    LEFT JOIN used AS u ON u.evidence_id = p.evidence_id AND u.evidence_offset = p.evidence_offset
    WHERE p.made_time IS NOT NULL OR p.member_sid LIKE 'S-1-5-21-%-501' OR p.member_sid LIKE 'S-1-5-20'
)
SELECT site, coalesce(least(min(made_time), min(time)), min(time)) AS first_seen, coalesce(greatest(max(use_time), max(time)), max(time)) AS last_seen,
    host, list_distinct(list_append(coalesce(any_value(used_on), []), host)) AS hosts,
    coalesce(min(target), member_sid) AS account,
    list_distinct(list_concat(list(coalesce(target, member_sid)), list(concat_ws('\', account_domain, account)))) AS accounts,
    CASE WHEN ip_normal(min(src)) IS NULL THEN min(src) END AS src_host, min(src_ip) AS src_ip,
    CASE WHEN count(use_time) > 0 THEN 'high' ELSE 'medium' END AS level,
    CASE WHEN count(use_time) > 0 THEN 0.8 ELSE 0.6 END AS confidence,
    MAP {'made_by': min(concat_ws('\', account_domain, account)), 'member_sid': member_sid,
         'used': CASE WHEN count(use_time) > 0 THEN 'yes' ELSE 'no' END} AS details,
    list_transform(list_sort(list_concat(list_concat(
            list({'time': time, 'evidence_id': evidence_id, 'evidence_offset': evidence_offset}),
            coalesce(list({'time': made_time, 'evidence_id': made_id, 'evidence_offset': made_offset})
                FILTER (made_id IS NOT NULL), [])),
            coalesce(flatten(list(marks) FILTER (marks IS NOT NULL)), []))),
        lambda m: {'evidence_id': m.evidence_id, 'evidence_offset': m.evidence_offset}) AS events
FROM found
GROUP BY site, host, member_sid, CAST(time AS DATE)

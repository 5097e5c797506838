-- stage: credential_access_dump
-- step: credential_access
-- techniques: T1003, T1003.001, T1003.002, T1003.003, T1003.006
-- level: high
-- finds: credentials read from a host in ways that nothing but a theft explains: LSASS memory, registry hives, ntds.dit,
--   replication to a person
-- blind: needs Sysmon, process auditing with command lines, or object auditing; on a host with default auditing only the
--   tool's traces in other logs are left
-- needs: credential_access, logons
-- parameter: gap_minutes = 60 signs on one host that follow each other this closely are one theft
-- parameter: product_hosts = 5 a program that reads LSASS on that many hosts on different days is a security product
-- parameter: product_days = 3 days on which it does so
WITH products AS (
    SELECT site, lower(split_part(process, '\', -1)) AS name FROM credential_access
    WHERE kind = 'lsass_access' AND process IS NOT NULL
    GROUP BY ALL
    HAVING count(DISTINCT CAST(time AS DATE)) >= $product_days
       AND (count(DISTINCT host) >= $product_hosts OR count(DISTINCT date_trunc('hour', time)) >= 24)
), signs AS (
    SELECT c.* FROM credential_access AS c
    ANTI JOIN products AS p ON p.name = lower(split_part(c.process, '\', -1)) AND p.site IS NOT DISTINCT FROM c.site
        AND c.kind = 'lsass_access'
    WHERE c.strength = 'strong'
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM signs WINDOW w AS (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, host ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, host, burst, min(time) AS begins, max(time) AS ends, list(DISTINCT kind) AS kinds,
        list(DISTINCT split_part(process, '\', -1)) FILTER (process IS NOT NULL) AS tools,
        min(concat_ws('\', account_domain, account)) FILTER (account IS NOT NULL AND account NOT IN ('system', 'local service', 'network service')
            AND NOT ends_with(account, '$')) AS account,
        min(logon_id) FILTER (logon_id <> '0x3e7') AS logon_id, min(detail) FILTER (kind IN ('dump_tool', 'hive_save', 'ntds')) AS command,
        list({'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
             ORDER BY time, evidence_id, evidence_offset) AS events
    FROM numbered GROUP BY ALL
), origin AS (
    SELECT b.site, b.host, b.burst, arg_max(l.src_ip, l.time) AS src_ip, arg_max(l.src_host, l.time) AS src_host
    FROM bursts AS b JOIN logons AS l ON l.host = b.host AND l.logon_id = b.logon_id
        AND l.site IS NOT DISTINCT FROM b.site AND l.is_remote AND l.time <= b.ends
    GROUP BY ALL
)
SELECT b.site, b.begins AS first_seen, b.ends AS last_seen, b.host, [b.host] AS hosts, b.account, o.src_host, o.src_ip,
    CASE WHEN len(b.kinds) >= 2 OR list_contains(b.kinds, 'dcsync') OR list_contains(b.kinds, 'ntds') THEN 'critical'
         ELSE 'high' END AS level,
    least(0.95, 0.65 + 0.1 * len(b.kinds) + 0.05 * least(2, len(b.events))) AS confidence,
    MAP {'kinds': array_to_string(list_sort(b.kinds), ', '), 'tools': array_to_string(list_sort(b.tools)[1:10], ', '),
         'command': b.command[1:300]} AS details,
    b.events
FROM bursts AS b
LEFT JOIN origin AS o ON o.host = b.host AND o.burst = b.burst AND o.site IS NOT DISTINCT FROM b.site

-- stage: lateral_movement_remote_process
-- step: lateral_movement
-- techniques: T1047, T1021.006, T1021.003, T1569.002
-- level: medium
-- finds: a shell or script host started by what serves remote callers (WMI, WinRM, DCOM, a remote execution service,
--   SQL Server's command shell), or any program started inside the session of a network logon
-- blind: needs Sysmon or process auditing (with parent names: Windows 10 / Server 2016 and later)
-- needs: processes, logons
-- parameter: gap_minutes = 60 commands of one account on one host that follow this closely are one session
-- parameter: habit_days = 3 the same parent and command on that many days is management software
-- parameter: logon_minutes = 10 how long before the command its network logon is looked for
WITH network_sessions AS (
    SELECT DISTINCT site, host, logon_id FROM logons
    WHERE outcome = 'success' AND is_remote AND logon_type = 3 AND NOT is_machine_account AND NOT is_anonymous
      AND logon_id NOT IN ('0x0', '0x3e7', '0x3e4', '0x3e5')
), shells AS (
    SELECT *, lower(split_part(parent_image, '\', -1)) AS parent, lower(coalesce(command_line, '')) AS line,
        lower(coalesce(parent_command_line, '')) AS parent_line
    FROM processes
), signs AS (
    SELECT *, CASE parent WHEN 'wmiprvse.exe' THEN 'wmi' WHEN 'wsmprovhost.exe' THEN 'winrm' WHEN 'winrshost.exe' THEN 'winrm'
            WHEN 'mmc.exe' THEN 'dcom' WHEN 'excel.exe' THEN 'dcom' WHEN 'svchost.exe' THEN 'dcom'
            WHEN 'sqlservr.exe' THEN 'sql' ELSE 'service' END AS way
    FROM shells
    WHERE parent IS NOT NULL AND ((parent IN ('wmiprvse.exe', 'wsmprovhost.exe', 'winrshost.exe', 'sqlservr.exe')
           AND (regexp_full_match(image_name, '(cmd|powershell|pwsh|rundll32|mshta|cscript|wscript|regsvr32|msbuild|certutil|bitsadmin|whoami|net|net1|nltest|quser|reg|schtasks|sc|taskkill|vssadmin|wbadmin|bcdedit)\.exe')
                OR regexp_matches(lower(image), '^[^c]:|\\users\\|\\temp\\|\\perflogs\\|^c:\\[^\\]+$|^c:\\programdata\\[^\\]+$')))
       OR (parent IN ('mmc.exe', 'excel.exe') AND contains(parent_line, '-embedding')
           AND regexp_full_match(image_name, '(cmd|powershell|pwsh|rundll32|mshta|cscript|wscript|regsvr32)\.exe'))
       OR (image_name = 'mshta.exe' AND contains(line, '-embedding'))
       OR (regexp_matches(parent, '^(psexe|paexe|remcom|csexec|winexe)') AND parent NOT IN ('psexec.exe', 'psexec64.exe', 'paexec_client.exe'))
       OR (parent = 'services.exe' AND regexp_full_match(image_name, '(cmd|powershell|pwsh|mshta|cscript|wscript)\.exe'))
       OR regexp_matches(line, '\\\\(127\.0\.0\.1|localhost)\\(admin|c)\$\\'))
    UNION ALL
    SELECT s.*, 'network_session' FROM shells AS s
    JOIN network_sessions AS n ON n.host = s.host AND n.logon_id = s.logon_id AND n.site IS NOT DISTINCT FROM s.site
    WHERE s.image_name NOT IN ('wsmprovhost.exe', 'wmiprvse.exe', 'conhost.exe', 'dllhost.exe', 'taskhostw.exe', 'werfault.exe', 'winrshost.exe', 'sshd.exe', 'sftp-server.exe')
), habits AS (
    SELECT site, parent, image_name, line FROM signs GROUP BY ALL HAVING count(DISTINCT CAST(time AS DATE)) >= $habit_days
), fresh AS (
    SELECT s.* FROM signs AS s ANTI JOIN habits AS h ON h.parent = s.parent AND h.image_name = s.image_name
        AND h.line = s.line AND h.site IS NOT DISTINCT FROM s.site
), marked AS (
    SELECT *, CASE WHEN time - lag(time) OVER w <= $gap_minutes * INTERVAL 1 MINUTE THEN 0 ELSE 1 END AS starts
    FROM fresh WINDOW w AS (PARTITION BY site, host, account ORDER BY time, evidence_id, evidence_offset)
), numbered AS (
    SELECT *, sum(starts) OVER (PARTITION BY site, host, account ORDER BY time, evidence_id, evidence_offset
        ROWS UNBOUNDED PRECEDING) AS burst
    FROM marked
), bursts AS (
    SELECT site, host, account, burst, min(account_domain) AS account_domain, min(time) AS begins, max(time) AS ends,
        list(DISTINCT way) AS ways, list(DISTINCT image_name) AS programs, arg_min(command_line, time) AS command,
        bool_or(regexp_matches(line, '\\\\(127\.0\.0\.1|localhost)\\(admin|c)\$\\|\s-e(nc|ncodedcommand)?\s|frombase64|downloadstring'))
            OR bool_or(way <> 'network_session' AND parent NOT IN ('wmiprvse.exe', 'wsmprovhost.exe', 'winrshost.exe', 'sqlservr.exe')) AS is_tool,
        list({'time': time, 'evidence_id': evidence_id, 'evidence_offset': evidence_offset}
             ORDER BY time, evidence_id, evidence_offset) AS marks
    FROM numbered GROUP BY ALL
), origin AS (
    SELECT b.site, b.host, b.account, b.burst, arg_max(l.src_ip, l.time) AS src_ip,
        arg_max(l.src_host, l.time) AS src_host,
        arg_max({'time': l.time, 'evidence_id': l.evidence_id, 'evidence_offset': l.evidence_offset}, l.time) AS mark
    FROM bursts AS b JOIN logons AS l ON l.host = b.host AND l.account = b.account AND l.is_remote
        AND l.outcome = 'success' AND l.logon_type = 3 AND l.site IS NOT DISTINCT FROM b.site
        AND l.time BETWEEN b.begins - $logon_minutes * INTERVAL 1 MINUTE AND b.ends
    GROUP BY ALL
)
SELECT b.site, b.begins AS first_seen, b.ends AS last_seen, b.host, [b.host] AS hosts,
    CASE WHEN b.account <> 'system' AND NOT ends_with(b.account, '$') THEN concat_ws('\', b.account_domain, b.account) END
        AS account, o.src_host, o.src_ip,
    CASE WHEN b.is_tool OR (o.mark IS NOT NULL AND b.ways <> ['network_session']) THEN 'high' ELSE 'medium' END AS level,
    CASE WHEN o.mark IS NOT NULL THEN 0.85 ELSE 0.65 END AS confidence,
    MAP {'ways': array_to_string(list_sort(b.ways), ', '), 'programs': array_to_string(list_sort(b.programs)[1:10], ', '),
         'command': b.command[1:300]} AS details,
    list_transform(list_sort(CASE WHEN o.mark IS NULL THEN b.marks ELSE list_append(b.marks, o.mark) END),
        lambda m: {'evidence_id': m.evidence_id, 'evidence_offset': m.evidence_offset}) AS events
FROM bursts AS b
LEFT JOIN origin AS o ON o.host = b.host AND o.account = b.account AND o.burst = b.burst
    AND o.site IS NOT DISTINCT FROM b.site

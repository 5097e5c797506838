-- view: sabotage
-- finds: what ransomware crews do to a host just before and while they encrypt: recovery destroyed, services stopped
-- columns: time, site, host, kind, detail, account, account_domain, source, evidence_id, evidence_offset
-- needs: processes, services
-- needs: windows_system(site, TimeCreated, EventID, Provider_Name, Computer, evidence_id, evidence_offset)
-- needs: windows_application(site, TimeCreated, EventID, Provider_Name, Computer, evidence_id, evidence_offset)
-- needs: windows_powershell(site, TimeCreated, EventID, Computer, ScriptBlockText, evidence_id, evidence_offset)
-- notes: kind: shadow_copies (vssadmin, wmic, diskshadow, PowerShell), backup (wbadmin; event 524 of
-- Microsoft-Windows-Backup: the catalogue was deleted), boot_recovery (bcdedit), service_stopped (Service Control
-- Manager), stop_command (net stop, sc stop / config disabled, taskkill). Deleting single or the oldest shadow
-- copy is housekeeping and left out.
SELECT time, site, host,
    CASE WHEN regexp_matches(line, 'vssadmin|shadowcopy|diskshadow|shadowstorage') THEN 'shadow_copies'
         WHEN contains(line, 'wbadmin') THEN 'backup' WHEN contains(line, 'bcdedit') THEN 'boot_recovery'
         ELSE 'stop_command' END AS kind,
    command_line AS detail, account, account_domain, source, evidence_id, evidence_offset
FROM (SELECT *, lower(command_line) AS line FROM processes WHERE command_line IS NOT NULL)
WHERE (regexp_matches(line, 'vssadmin(\.exe)?"?\s.*(delete\s+shadows|resize\s+shadowstorage)')
       AND NOT regexp_matches(line, '/oldest|/shadow='))
   OR regexp_matches(line, 'wmic(\.exe)?"?\s.*shadowcopy.*\sdelete|win32_shadowcopy.*(delete|remove-)|diskshadow.*delete\s+shadows')
   OR regexp_matches(line, 'wbadmin(\.exe)?"?\s+delete\s+(catalog|systemstatebackup|backup)')
   OR regexp_matches(line, 'bcdedit(\.exe)?"?\s.*(recoveryenabled\s+(no|off)|bootstatuspolicy\s+ignoreallfailures)')
   OR (regexp_full_match(image_name, 'net1?\.exe') AND regexp_matches(line, '\sstop\s'))
   OR (image_name = 'sc.exe' AND regexp_matches(line, '\sstop\s|\sconfig\s.*start=\s*disabled'))
   OR (image_name = 'taskkill.exe' AND contains(line, '/im'))
UNION ALL
SELECT time, site, host, 'service_stopped', service_name, account, account_domain, source, evidence_id, evidence_offset
FROM services WHERE action = 'stopped'
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), 'backup', 'catalog deleted', NULL, NULL, 'windows_system',
    evidence_id, evidence_offset
FROM windows_system WHERE EventID = 524 AND Provider_Name = 'Microsoft-Windows-Backup'
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), 'backup', 'catalog deleted', NULL, NULL,
    'windows_application', evidence_id, evidence_offset
FROM windows_application WHERE EventID = 524 AND Provider_Name = 'Microsoft-Windows-Backup'
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), 'shadow_copies', ScriptBlockText[1:300], NULL, NULL,
    'windows_powershell', evidence_id, evidence_offset
FROM windows_powershell
WHERE EventID = 4104 AND regexp_matches(ScriptBlockText, '(?i)win32_shadowcopy') AND regexp_matches(ScriptBlockText, '(?i)\.delete\(|remove-(wmi|cim)')

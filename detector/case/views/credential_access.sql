-- view: credential_access
-- finds: stored or live credentials were read: LSASS memory, SAM / SYSTEM hives, ntds.dit, replication from a DC
-- columns: time, site, host, computer, kind, strength, process, target, detail, account, account_domain, logon_id,
--   event_id, source, evidence_id, evidence_offset
-- needs: processes
-- needs: windows_sysmon(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, SourceImage, TargetImage, GrantedAccess, CallTrace, Image, TargetFilename, User, SourceUser)
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, ObjectType, ObjectName, AccessMask, ProcessName, Properties, SubjectUserName, SubjectDomainName, SubjectUserSid, SubjectLogonId)
-- needs: windows_application(site, evidence_id, evidence_offset, TimeCreated, EventID, Provider_Name, Computer, Data, param1, param2)
-- needs: windows_powershell(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, ScriptBlockText, Security_UserID)
-- notes: kind: lsass_access, lsass_dump_file, dump_tool, hive_save, ntds, dcsync, sam_registry, script.
-- Access to LSASS counts with PROCESS_VM_READ (0x10) only: without it no memory is read, and Windows itself asks for
-- less all day. strength is strong where nothing but a dump explains it (full access, a script host, a program in a
-- folder that users can write, a program of Windows calling from memory without a file, a dump library on the stack, a tool's own
-- command words) and weak where monitoring software does the same.
WITH access AS (
    SELECT TimeCreated AS time, site, Computer AS computer, SourceImage AS process, TargetImage AS target,
        try_cast(GrantedAccess AS BIGINT) AS mask, CallTrace AS trace, coalesce(SourceUser, "User") AS user_name,
        NULL::VARCHAR AS domain_name, NULL::VARCHAR AS logon_id, EventID, 'windows_sysmon' AS source, evidence_id,
        evidence_offset
    FROM windows_sysmon WHERE EventID = 10 AND ends_with(lower(TargetImage), '\lsass.exe')
    UNION ALL
    SELECT TimeCreated, site, Computer, ProcessName, ObjectName, try_cast(AccessMask AS BIGINT), NULL,
        SubjectUserName, SubjectDomainName, lower(SubjectLogonId), EventID, 'windows_security', evidence_id,
        evidence_offset
    FROM windows_security
    WHERE EventID IN (4656, 4663) AND ObjectType = 'Process' AND ends_with(lower(ObjectName), '\lsass.exe')
), judged AS (
    SELECT *, lower(split_part(process, '\', -1)) AS name, lower(process) AS path,
        (mask & 16) <> 0 AND (mask & 2031616) = 2031616 AND (mask & 40) = 40 AS full_access
    FROM access WHERE (mask & 16) <> 0
), commands AS (
    SELECT *, lower(coalesce(command_line, '')) AS line, coalesce(lower(original_file_name), image_name) AS program
    FROM processes
)
SELECT time, site, upper(split_part(computer, '.', 1)) AS host, computer, 'lsass_access' AS kind,
    CASE WHEN name IN ('wmiprvse.exe', 'services.exe', 'csrss.exe', 'wininit.exe', 'lsm.exe', 'lsass.exe') THEN 'weak'
         WHEN full_access OR (contains(trace, 'UNKNOWN') AND starts_with(path, 'c:\windows\')) OR regexp_matches(lower(trace), 'dbgcore|dbghelp|comsvcs')
              OR regexp_full_match(name, '(powershell|pwsh|cscript|wscript|mshta|rundll32|regsvr32|cmd|python\w*|procdump\w*|mimikatz\w*)\.exe')
              OR regexp_matches(path, '^[^c]:|^\\\\|^c:\\(users|temp|perflogs|programdata\\[^\\]+$|windows\\temp|\$recycle\.bin|[^\\]+$)')
         THEN 'strong' ELSE 'weak' END AS strength,
    process, target, printf('0x%x', mask) AS detail, lower(split_part(user_name, '\', -1)) AS account,
    upper(coalesce(domain_name, CASE WHEN contains(user_name, '\') THEN split_part(user_name, '\', 1) END))
        AS account_domain,
    logon_id, EventID AS event_id, source, evidence_id, evidence_offset
FROM judged
WHERE NOT regexp_full_match(path,
    'c:\\(program files|programdata\\microsoft)\\windows defender( advanced threat protection)?\\.*|c:\\windows\\sysmon(64)?\.exe')
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, 'lsass_dump_file', 'strong', Image,
    TargetFilename, NULL, lower(split_part("User", '\', -1)),
    CASE WHEN contains("User", '\') THEN upper(split_part("User", '\', 1)) END, NULL, EventID, 'windows_sysmon',
    evidence_id, evidence_offset
FROM windows_sysmon
WHERE EventID = 11 AND regexp_matches(lower(TargetFilename), 'lsass[^\\]*\.(dmp|mdmp|dump|zip)$|\\(mimilsa\.log|kiwissp\.log)$')
UNION ALL
SELECT time, site, host, computer,
    CASE WHEN regexp_matches(line, 'ntds') THEN 'ntds'
         WHEN regexp_matches(line, '\b(sam|system|security)\b') AND regexp_matches(line, 'reg(\.exe)?"?\s+(save|export)|config\\(sam|system|security)')
         THEN 'hive_save' ELSE 'dump_tool' END,
    'strong', image, NULL, command_line, account, account_domain, logon_id, event_id, source, evidence_id,
    evidence_offset
FROM commands
WHERE regexp_matches(line, 'comsvcs(\.dll)?\W.*(minidump|#\+?0*24)|sekurlsa|lsadump::|privilege::debug|out-minidump|\bnanodump|ppldump')
   OR regexp_matches(line, '(procdump|sqldumper|dumpert|rdrleakdiag|createdump|avdump|-ma|fulldump).*lsass')
   OR regexp_matches(line, 'rdrleakdiag(\.exe)?"?\s.*fullmemdmp')
   OR program = 'mimikatz.exe'
   OR regexp_matches(line, 'reg(\.exe)?"?\s+(save|export)\s+"?(hklm|hkey_local_machine)\\(sam\b|security\b|system($|[\s\"]))')
   OR regexp_matches(line, '(harddiskvolumeshadowcopy|esentutl|ninjacopy|copy).*(\\ntds\.dit|\\config\\(sam|system|security)\b)')
   OR (regexp_matches(line, 'ntdsutil') AND regexp_matches(line, '\bifm\b|create\s+full|\bac(tivate)?\s+i\w*\s+ntds'))
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, 'dcsync', 'strong', NULL, NULL,
    'DS-Replication-Get-Changes-All', lower(SubjectUserName), upper(SubjectDomainName), lower(SubjectLogonId),
    EventID, 'windows_security', evidence_id, evidence_offset
FROM windows_security
WHERE EventID = 4662 AND contains(lower(Properties), '1131f6ad-9c07-11d1-f79f-00c04fc2dcd2')
  AND NOT ends_with(SubjectUserName, '$') AND NOT starts_with(upper(SubjectUserName), 'MSOL_')
  AND SubjectUserSid <> 'S-1-5-18'
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, 'ntds', 'strong', NULL, NULL,
    replace(Data, chr(10), ' '), NULL, NULL, NULL, EventID, 'windows_application', evidence_id, evidence_offset
FROM windows_application
WHERE Provider_Name = 'ESENT' AND EventID IN (325, 327) AND regexp_matches(lower(Data), '\\ntds\.dit')
  AND NOT regexp_matches(lower(Data), '\\windows\\ntds\\ntds\.dit')
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, 'lsass_access', 'strong',
    'Microsoft-Windows-ProcessExitMonitor', 'lsass.exe', coalesce(param2, param1, Data), NULL, NULL, NULL, EventID,
    'windows_application', evidence_id, evidence_offset
FROM windows_application
WHERE Provider_Name = 'Microsoft-Windows-ProcessExitMonitor' AND EventID IN (3000, 3001)
  AND contains(lower(concat_ws(' ', param1, param2, Data)), 'lsass')
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, 'sam_registry', 'strong', ProcessName,
    ObjectName, printf('0x%x', try_cast(AccessMask AS BIGINT)), lower(SubjectUserName), upper(SubjectDomainName),
    lower(SubjectLogonId), EventID, 'windows_security', evidence_id, evidence_offset
FROM windows_security
WHERE EventID IN (4656, 4663) AND ObjectType = 'Key'
  AND regexp_matches(lower(ObjectName), '\\registry\\machine\\(sam\\sam\\domains\\account\\users\\0|security\\(policy\\secrets\\|cache))')
  AND NOT regexp_full_match(lower(ProcessName), 'c:\\windows\\(system32|servicing)\\(lsass|svchost|services|tiworker|poqexec|searchindexer)\.exe')
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, 'script', 'strong', 'powershell.exe', NULL,
    ScriptBlockText[1:200], NULL, NULL, NULL, EventID, 'windows_powershell', evidence_id, evidence_offset
FROM windows_powershell
WHERE EventID = 4104
  AND (regexp_matches(ScriptBlockText, '(?i)sekurlsa::|lsadump::|invoke-mimikatz|out-minidump|invoke-ninjacopy|get-lsasecret|invoke-powerdump')
       OR (contains(ScriptBlockText, 'MiniDumpWriteDump') AND regexp_matches(ScriptBlockText, '(?i)lsass')))

-- view: processes
-- finds: every start of a process
-- columns: time, site, host, computer, image, image_name, command_line, parent_image, parent_command_line, account,
--   account_domain, account_sid, logon_id, process_id, parent_process_id, process_guid, parent_process_guid,
--   integrity_level, original_file_name, hashes, current_directory, event_id, source, evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, NewProcessName, NewProcessId, ProcessId, CommandLine, ParentProcessName, SubjectUserName, SubjectDomainName, SubjectUserSid, SubjectLogonId, TargetUserName, TargetDomainName, TargetUserSid, TargetLogonId, MandatoryLabel)
-- needs: windows_sysmon(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, Image, CommandLine, ParentImage, ParentCommandLine, User, LogonId, ProcessId, ParentProcessId, ProcessGuid, ParentProcessGuid, IntegrityLevel, OriginalFileName, Hashes, CurrentDirectory)
-- notes: Sysmon 1 and Security 4688; a host that has both gives two rows for a process. image_name is the file's name in
-- lower case. 4688 names a target user only where the process runs as another than its creator; command_line
-- there needs its own audit setting.
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer,
    NewProcessName AS image, lower(split_part(NewProcessName, '\', -1)) AS image_name,
    nullif(CommandLine, '') AS command_line, nullif(nullif(ParentProcessName, '-'), '') AS parent_image,
    NULL::VARCHAR AS parent_command_line,
    lower(coalesce(nullif(nullif(TargetUserName, '-'), ''), nullif(SubjectUserName, '-'))) AS account,
    upper(coalesce(nullif(nullif(TargetDomainName, '-'), ''), nullif(SubjectDomainName, '-'))) AS account_domain,
    CASE WHEN coalesce(nullif(nullif(TargetUserName, '-'), ''), '') <> '' THEN TargetUserSid
         ELSE SubjectUserSid END AS account_sid,
    lower(CASE WHEN coalesce(try_cast(TargetLogonId AS BIGINT), 0) <> 0 THEN TargetLogonId
         ELSE SubjectLogonId END) AS logon_id,
    try_cast(NewProcessId AS BIGINT) AS process_id, try_cast(ProcessId AS BIGINT) AS parent_process_id,
    NULL::VARCHAR AS process_guid, NULL::VARCHAR AS parent_process_guid, MandatoryLabel AS integrity_level,
    NULL::VARCHAR AS original_file_name, NULL::VARCHAR AS hashes, NULL::VARCHAR AS current_directory,
    EventID AS event_id, 'windows_security' AS source, evidence_id, evidence_offset
FROM windows_security WHERE EventID = 4688
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, Image, lower(split_part(Image, '\', -1)),
    nullif(CommandLine, ''), nullif(nullif(ParentImage, '-'), ''), nullif(ParentCommandLine, ''),
    lower(split_part("User", '\', -1)), CASE WHEN contains("User", '\') THEN upper(split_part("User", '\', 1)) END,
    NULL, lower(LogonId), try_cast(ProcessId AS BIGINT), try_cast(ParentProcessId AS BIGINT), lower(ProcessGuid),
    lower(ParentProcessGuid), IntegrityLevel, nullif(nullif(OriginalFileName, '-'), '?'), Hashes, CurrentDirectory,
    EventID, 'windows_sysmon', evidence_id, evidence_offset
FROM windows_sysmon WHERE EventID = 1

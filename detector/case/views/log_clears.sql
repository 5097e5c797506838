-- view: log_clears
-- finds: an event log was cleared
-- columns: time, site, host, computer, cleared, account, account_domain, account_sid, logon_id, event_id, source,
--   evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Provider_Name, Computer, SubjectUserName, SubjectDomainName, SubjectUserSid, SubjectLogonId)
-- needs: windows_system(site, evidence_id, evidence_offset, TimeCreated, EventID, Provider_Name, Computer, SubjectUserName, SubjectDomainName, Security_UserID, EventData_Channel)
-- notes: Security 1102 (the Security log), System 104 (any other; `cleared` names it).
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer,
    'Security' AS cleared, lower(nullif(SubjectUserName, '-')) AS account,
    upper(nullif(SubjectDomainName, '-')) AS account_domain, SubjectUserSid AS account_sid,
    lower(SubjectLogonId) AS logon_id, EventID AS event_id, 'windows_security' AS source, evidence_id,
    evidence_offset
FROM windows_security WHERE EventID = 1102 AND Provider_Name = 'Microsoft-Windows-Eventlog'
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, EventData_Channel,
    lower(nullif(SubjectUserName, '-')), upper(nullif(SubjectDomainName, '-')), Security_UserID, NULL, EventID,
    'windows_system', evidence_id, evidence_offset
FROM windows_system WHERE EventID = 104 AND Provider_Name = 'Microsoft-Windows-Eventlog'

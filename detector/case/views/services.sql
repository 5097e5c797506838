-- view: services
-- finds: services installed, started, stopped, crashed, or given another start type
-- columns: time, site, host, computer, action, service_name, display_name, image_path, start_type,
--   service_account, account, account_domain, account_sid, logon_id, event_id, source, evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, ServiceName, ServiceFileName, ServiceStartType, ServiceAccount, SubjectUserName, SubjectDomainName, SubjectUserSid, SubjectLogonId)
-- needs: windows_system(site, evidence_id, evidence_offset, TimeCreated, EventID, Provider_Name, Computer, ServiceName, ImagePath, StartType, AccountName, Security_UserID, param1, param2, param3, param4, Binary)
-- notes: System 7045, Security 4697 (installed); 7036 (started, stopped); 7040 (start type); 7031, 7034 (crashed). The state
-- in 7036 is in the language of Windows; Binary holds the service's short name and the state's number in UTF-16
-- (SERVICE_STOPPED is 1, SERVICE_RUNNING 4), so any language is understood.
WITH scm AS (
    SELECT *, CASE WHEN EventID = 7036 AND regexp_full_match("Binary", '(?:[0-7][0-9A-Fa-f]00)+')
        THEN rtrim(decode(from_hex(regexp_replace("Binary", '(..)00', '\1', 'g'))), chr(0)) END AS short
    FROM windows_system
    WHERE EventID IN (7031, 7034, 7036, 7040, 7045) AND Provider_Name = 'Service Control Manager'
)
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer,
    CASE EventID WHEN 7045 THEN 'installed' WHEN 7040 THEN 'start_type_changed'
         WHEN 7031 THEN 'crashed' WHEN 7034 THEN 'crashed'
         ELSE CASE WHEN ends_with(short, '/1') THEN 'stopped' WHEN ends_with(short, '/4') THEN 'started'
                   WHEN lower(param2) = 'stopped' OR contains(param2, '停止') THEN 'stopped'
                   WHEN lower(param2) = 'running' OR contains(param2, '実行') THEN 'started'
                   ELSE 'other' END END AS action,
    CASE EventID WHEN 7045 THEN ServiceName WHEN 7040 THEN coalesce(nullif(param4, ''), param1)
         WHEN 7036 THEN coalesce(nullif(regexp_replace(short, '/\d+$', ''), ''), param1)
         ELSE param1 END AS service_name,
    CASE WHEN EventID = 7045 THEN ServiceName ELSE param1 END AS display_name,
    ImagePath AS image_path, CASE EventID WHEN 7045 THEN StartType WHEN 7040 THEN param3 END AS start_type,
    CASE WHEN EventID = 7045 THEN AccountName END AS service_account,
    NULL::VARCHAR AS account, NULL::VARCHAR AS account_domain, Security_UserID AS account_sid,
    NULL::VARCHAR AS logon_id, EventID AS event_id, 'windows_system' AS source, evidence_id, evidence_offset
FROM scm
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer, 'installed', ServiceName, ServiceName,
    ServiceFileName,
    CASE ServiceStartType WHEN '0' THEN 'boot start' WHEN '1' THEN 'system start' WHEN '2' THEN 'auto start'
         WHEN '3' THEN 'demand start' WHEN '4' THEN 'disabled' ELSE ServiceStartType END,
    ServiceAccount, lower(nullif(SubjectUserName, '-')), upper(nullif(SubjectDomainName, '-')), SubjectUserSid,
    lower(SubjectLogonId), EventID, 'windows_security', evidence_id, evidence_offset
FROM windows_security WHERE EventID = 4697

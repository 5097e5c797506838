-- view: scheduled_tasks
-- finds: scheduled tasks registered, changed, deleted, switched, or run
-- columns: time, site, host, computer, action, task_name, command, account, account_domain, logon_id, event_id,
--   source, evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, TaskName, TaskContent, TaskContentNew, SubjectUserName, SubjectDomainName, SubjectLogonId)
-- needs: windows_taskscheduler(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, TaskName, UserContext, UserName, ActionName, Path)
-- notes: Security 4698 to 4702; TaskScheduler 106 (registered), 140 (updated), 141 (deleted), 129 / 200 (run).
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer,
    CASE EventID WHEN 4698 THEN 'registered' WHEN 4699 THEN 'deleted' WHEN 4700 THEN 'enabled'
         WHEN 4701 THEN 'disabled' ELSE 'updated' END AS action,
    TaskName AS task_name,
    nullif(concat_ws(' ',
        nullif(regexp_extract(coalesce(TaskContent, TaskContentNew), '<Command>\s*([^<]*?)\s*</Command>', 1), ''),
        nullif(regexp_extract(coalesce(TaskContent, TaskContentNew), '<Arguments>\s*([^<]*?)\s*</Arguments>', 1), '')
    ), '') AS command,
    lower(nullif(SubjectUserName, '-')) AS account, upper(nullif(SubjectDomainName, '-')) AS account_domain,
    lower(SubjectLogonId) AS logon_id, EventID AS event_id, 'windows_security' AS source, evidence_id,
    evidence_offset
FROM windows_security WHERE EventID BETWEEN 4698 AND 4702
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer,
    CASE EventID WHEN 106 THEN 'registered' WHEN 140 THEN 'updated' WHEN 141 THEN 'deleted' ELSE 'run' END,
    TaskName, coalesce(nullif(ActionName, ''), nullif(Path, '')),
    lower(split_part(coalesce(nullif(UserContext, ''), UserName), '\', -1)),
    CASE WHEN contains(coalesce(nullif(UserContext, ''), UserName), '\')
         THEN upper(split_part(coalesce(nullif(UserContext, ''), UserName), '\', 1)) END,
    NULL, EventID, 'windows_taskscheduler', evidence_id, evidence_offset
FROM windows_taskscheduler WHERE EventID IN (106, 129, 140, 141, 200)

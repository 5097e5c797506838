-- view: audit_changes
-- finds: the audit policy of a host was changed
-- columns: time, site, host, computer, subcategory, changes, removed, account, account_domain, event_id, source,
--   evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, SubcategoryGuid, SubcategoryId, AuditPolicyChanges, SubjectUserName, SubjectDomainName)
-- notes: Security 4719. subcategory: its GUID, in capitals without braces. changes: success or failure, added or removed
-- (AuditPolicyChanges %%8448 to %%8451); removed: something is no longer audited.
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer,
    upper(trim(coalesce(SubcategoryGuid, SubcategoryId), '{} ')) AS subcategory,
    replace(replace(replace(replace(AuditPolicyChanges, '%%8448', 'success removed'), '%%8449', 'success added'),
        '%%8450', 'failure removed'), '%%8451', 'failure added') AS changes,
    coalesce(regexp_matches(AuditPolicyChanges, '%%(8448|8450)'), false) AS removed,
    account_name(SubjectUserName) AS account, upper(nullif(SubjectDomainName, '-')) AS account_domain,
    EventID AS event_id, 'windows_security' AS source, evidence_id, evidence_offset
FROM windows_security WHERE EventID = 4719

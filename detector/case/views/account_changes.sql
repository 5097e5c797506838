-- view: account_changes
-- finds: accounts created, enabled, changed, unlocked, locked out or deleted, and members added to groups
-- columns: time, site, host, computer, action, target, target_domain, target_sid, member, member_sid,
--   is_privileged, account, account_domain, account_sid, logon_id, event_id, source, evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, TargetUserName, TargetDomainName, TargetSid, MemberName, MemberSid, SubjectUserName, SubjectDomainName, SubjectUserSid, SubjectLogonId, NewTargetUserName)
-- notes: target is the account, or the group that got or lost a member. is_privileged: a group whose SID is that of the
-- local Administrators, Backup or Account or Server Operators, Domain / Enterprise / Schema Admins.
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer,
    CASE EventID WHEN 4720 THEN 'created' WHEN 4722 THEN 'enabled' WHEN 4723 THEN 'password_changed'
         WHEN 4724 THEN 'password_reset' WHEN 4725 THEN 'disabled' WHEN 4726 THEN 'deleted'
         WHEN 4738 THEN 'changed' WHEN 4740 THEN 'locked_out' WHEN 4767 THEN 'unlocked' WHEN 4781 THEN 'renamed'
         WHEN 4741 THEN 'created'
         WHEN 4728 THEN 'member_added' WHEN 4732 THEN 'member_added' WHEN 4756 THEN 'member_added'
         ELSE 'member_removed' END AS action,
    lower(TargetUserName) AS target, upper(nullif(TargetDomainName, '-')) AS target_domain, TargetSid AS target_sid,
    CASE WHEN EventID = 4781 THEN lower(NewTargetUserName)
         ELSE nullif(nullif(lower(MemberName), '-'), '') END AS member,
    nullif(nullif(MemberSid, '-'), '') AS member_sid,
    coalesce(regexp_full_match(TargetSid, 'S-1-5-32-(544|548|549|551)|S-1-5-21-.*-(512|518|519)'), false)
        AS is_privileged,
    lower(nullif(SubjectUserName, '-')) AS account, upper(nullif(SubjectDomainName, '-')) AS account_domain,
    SubjectUserSid AS account_sid, lower(SubjectLogonId) AS logon_id, EventID AS event_id,
    'windows_security' AS source, evidence_id, evidence_offset
FROM windows_security
WHERE EventID IN (4720, 4722, 4723, 4724, 4725, 4726, 4728, 4729, 4732, 4733, 4738, 4740, 4741, 4756, 4757, 4767, 4781)

-- view: share_access
-- finds: a share, or a file or named pipe below it, was opened over the network
-- columns: time, site, host, computer, share, share_path, target, access_mask, is_admin_share, is_write, account,
--   account_domain, account_sid, logon_id, src_ip, src_port, event_id, source, evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, ShareName, ShareLocalPath, RelativeTargetName, AccessMask, SubjectUserName, SubjectDomainName, SubjectUserSid, SubjectLogonId, IpAddress, IpPort)
-- notes: Security 5140 (share) and 5145 (file below it). is_write: the mask holds WriteData or AppendData (0x2, 0x4).
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer,
    upper(split_part(ShareName, '\', -1)) AS share, nullif(ShareLocalPath, '') AS share_path,
    nullif(nullif(RelativeTargetName, '-'), '') AS target, AccessMask AS access_mask,
    coalesce(regexp_full_match(upper(split_part(ShareName, '\', -1)), 'ADMIN\$|[A-Z]\$'), false) AS is_admin_share,
    coalesce((try_cast(AccessMask AS BIGINT) & 6) <> 0, false) AS is_write,
    lower(nullif(SubjectUserName, '-')) AS account, upper(nullif(SubjectDomainName, '-')) AS account_domain,
    SubjectUserSid AS account_sid, lower(SubjectLogonId) AS logon_id, ip_normal(IpAddress) AS src_ip,
    try_cast(IpPort AS INTEGER) AS src_port, EventID AS event_id, 'windows_security' AS source, evidence_id,
    evidence_offset
FROM windows_security WHERE EventID IN (5140, 5145)

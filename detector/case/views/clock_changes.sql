-- view: clock_changes
-- finds: the clock of a host was set
-- columns: time, site, host, computer, before, after, shift_seconds, account, account_domain, process, event_id, source,
--   evidence_id, evidence_offset
-- needs: windows_security(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, PreviousTime, NewTime, SubjectUserName, SubjectDomainName, ProcessName)
-- notes: Security 4616. shift_seconds: positive where the clock was set forward; time services shift it by less than a
-- second every day. Windows writes seven digits of the second, of which six are read.
WITH changes AS (
    SELECT *, try_cast(regexp_replace(PreviousTime, '(\.\d{6})\d*', '\1') AS TIMESTAMPTZ) AS before,
        try_cast(regexp_replace(NewTime, '(\.\d{6})\d*', '\1') AS TIMESTAMPTZ) AS after
    FROM windows_security WHERE EventID = 4616
)
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer, before, after,
    epoch(after - before) AS shift_seconds, account_name(SubjectUserName) AS account,
    upper(nullif(SubjectDomainName, '-')) AS account_domain, nullif(nullif(ProcessName, ''), '-') AS process,
    EventID AS event_id, 'windows_security' AS source, evidence_id, evidence_offset
FROM changes

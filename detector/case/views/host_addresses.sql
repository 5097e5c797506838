-- view: host_addresses
-- finds: which address belonged to which host, from when to when, and how that is known
-- columns: site, host, ip, basis, first_seen, last_seen, events
-- needs: site_hosts(site, host, ip)
-- needs: windows_security(site, TimeCreated, EventID, Computer, TargetUserName, LogonType, WorkstationName, AuthenticationPackageName, IpAddress, Direction, SourceAddress, Status)
-- needs: windows_sysmon(site, TimeCreated, EventID, Computer, Initiated, SourceIp)
-- needs: firewall(site, time, src_host, src_ip)
-- notes: basis, surest first: site (site.toml), own (the host's own Sysmon 3 or 5156: its end of a connection), machine (its
-- machine account NAME$ logged on or got a Kerberos ticket from the address), firewall (the device named the
-- address), logon (an NTLM client called itself by the name: can be forged). With DHCP an address has several hosts:
-- join on first_seen and last_seen too.
WITH seen AS (
    SELECT site, upper(split_part(Computer, '.', 1)) AS host, SourceIp AS ip, 'own' AS basis, TimeCreated AS time
    FROM windows_sysmon WHERE EventID = 3 AND Initiated = 'true'
    UNION ALL
    SELECT site, upper(split_part(Computer, '.', 1)), SourceAddress, 'own', TimeCreated
    FROM windows_security WHERE EventID = 5156 AND Direction = '%%14593'
    UNION ALL
    SELECT site, upper(rtrim(split_part(TargetUserName, '@', 1), '$')), IpAddress, 'machine', TimeCreated
    FROM windows_security
    WHERE EventID IN (4624, 4768, 4769) AND ends_with(split_part(TargetUserName, '@', 1), '$')
      AND (EventID <> 4624 OR LogonType = '3') AND coalesce(try_cast(Status AS BIGINT), 0) = 0
    UNION ALL
    SELECT site, upper(split_part(src_host, '.', 1)), src_ip, 'firewall', time FROM firewall WHERE src_host <> ''
    UNION ALL
    SELECT site, upper(split_part(ltrim(WorkstationName, '\'), '.', 1)), IpAddress, 'logon', TimeCreated
    FROM windows_security
    WHERE EventID IN (4624, 4625) AND LogonType = '3' AND WorkstationName NOT IN ('', '-')
      AND upper(split_part(ltrim(WorkstationName, '\'), '.', 1)) <> upper(split_part(Computer, '.', 1))
), grouped AS (
    SELECT site, host, ip, basis, min(time) AS first_seen, max(time) AS last_seen, count(*) AS events
    FROM seen WHERE ip IS NOT NULL AND ip NOT IN ('', '-') GROUP BY ALL
)
SELECT site, host, ip_normal(ip) AS ip, basis, min(first_seen) AS first_seen, max(last_seen) AS last_seen,
    CAST(sum(events) AS BIGINT) AS events
FROM grouped
WHERE host <> '' AND ip_normal(ip) IS NOT NULL AND NOT ip_in_network(ip, '127.0.0.0/8')
  AND NOT ip_in_network(ip, '224.0.0.0/4')
  AND NOT ip_in_network(ip, 'ff00::/8') AND ip_normal(ip) NOT IN ('::1', '0.0.0.0', '::')
GROUP BY site, host, ip_normal(ip), basis
UNION ALL
SELECT site, upper(split_part(host, '.', 1)), ip_normal(ip), 'site', NULL, NULL, 0
FROM site_hosts WHERE ip_normal(ip) IS NOT NULL

-- view: hosts
-- finds: every Windows host that wrote a log, and what it is
-- columns: site, host, computer, role, basis, first_seen, last_seen
-- needs: windows(site, TimeCreated, Computer)
-- needs: site_hosts(site, host, role)
-- needs: logons
-- needs: authentications
-- notes: role: as site.toml says (basis site); else dc (it judged Kerberos), server (people or programs of several other
-- addresses logged on to it over the network; several: 5 or more, since a workstation is reached by an
-- administrator or two), client. basis inferred says that it is a guess from what the logs hold.
WITH present AS (
    SELECT site, upper(split_part(Computer, '.', 1)) AS host, max(Computer) AS computer,
        min(TimeCreated) AS first_seen, max(TimeCreated) AS last_seen
    FROM windows WHERE Computer <> '' GROUP BY ALL
), known AS (
    SELECT site, upper(split_part(host, '.', 1)) AS host, min(role) AS role FROM site_hosts WHERE role <> '' GROUP BY ALL
), controllers AS (
    SELECT DISTINCT site, host FROM authentications WHERE authentication = 'Kerberos'
), reached AS (
    SELECT site, host, count(DISTINCT coalesce(src_ip, src_host)) AS sources FROM logons
    WHERE outcome = 'success' AND is_remote AND NOT is_anonymous GROUP BY ALL
)
SELECT p.site, p.host, p.computer,
    coalesce(k.role, CASE WHEN c.host IS NOT NULL THEN 'dc' WHEN r.sources >= 5 THEN 'server' ELSE 'client' END)
        AS role,
    CASE WHEN k.role IS NULL THEN 'inferred' ELSE 'site' END AS basis, p.first_seen, p.last_seen
FROM present AS p
LEFT JOIN known AS k ON k.host = p.host AND coalesce(k.site, p.site) IS NOT DISTINCT FROM p.site
LEFT JOIN controllers AS c ON c.host = p.host AND c.site IS NOT DISTINCT FROM p.site
LEFT JOIN reached AS r ON r.host = p.host AND r.site IS NOT DISTINCT FROM p.site

-- view: address_zones
-- finds: on which side of the wall every address stands that logged on to something
-- columns: site, ip, zone, name, basis, host
-- needs: logons, authentications, vpn_logins, host_addresses, address_owners, hosts
-- needs: site_networks(site, kind, name, network)
-- needs: windows_remotedesktopservices_rdpcorets(site, EventID, ClientIP)
-- needs: vpn(site, assigned_ip)
-- needs: firewall(site, event_type, src_ip, dst_port)
-- notes: zone: servers, clients, vpn_pools, vendor, vendor_vpn_pool as site.toml says (basis site; the narrowest network
-- decides). Without it (basis inferred): vpn (the VPN handed the address out), inside (the /24, or IPv6 /64, of a
-- host with logs here, of a member of the domain, or of five or more addresses that log on: a vendor comes from one
-- or two), other (private, but none of these: a vendor's network, or a part of the site whose logs are missing),
-- public, local (loopback, link-local). host: the host that had the address, if one is known.
WITH seen AS (
    SELECT DISTINCT site, src_ip AS ip FROM logons WHERE src_ip IS NOT NULL
    UNION SELECT DISTINCT site, src_ip FROM authentications WHERE src_ip IS NOT NULL
    UNION SELECT DISTINCT site, src_ip FROM vpn_logins WHERE src_ip IS NOT NULL
    UNION SELECT DISTINCT site, assigned_ip FROM vpn WHERE assigned_ip IS NOT NULL
    UNION SELECT DISTINCT site, ip FROM host_addresses
    UNION SELECT DISTINCT site, ip_normal(regexp_replace(regexp_replace(ClientIP, ':\d+$', ''), '[\[\]]', '', 'g'))
        FROM windows_remotedesktopservices_rdpcorets WHERE EventID = 131
    UNION SELECT DISTINCT site, src_ip FROM firewall
        WHERE src_ip IS NOT NULL AND (dst_port = 3389 OR event_type = 'admin')
), told AS (
    SELECT s.site, s.ip, arg_max(n.kind, (
            try_cast(split_part(n.network, '/', 2) AS INTEGER), n.kind)) AS zone,
        arg_max(n.name, (try_cast(split_part(n.network, '/', 2) AS INTEGER), n.kind)) AS name
    FROM seen AS s JOIN site_networks AS n
      ON coalesce(n.site, s.site) IS NOT DISTINCT FROM s.site AND ip_in_network(s.ip, n.network)
    GROUP BY ALL
), lived AS (
    SELECT DISTINCT a.site, CASE WHEN contains(a.ip, ':') THEN array_to_string(string_split(a.ip, ':')[1:4], ':')
        ELSE regexp_extract(a.ip, '^(\d+\.\d+\.\d+)\.', 1) END AS block
    FROM host_addresses AS a
    WHERE ip_is_private(a.ip) AND (a.basis IN ('site', 'machine') OR (a.basis = 'own' AND EXISTS (
        SELECT 1 FROM hosts AS h WHERE h.host = a.host AND h.site IS NOT DISTINCT FROM a.site)))
    UNION
    SELECT site, regexp_extract(src_ip, '^(\d+\.\d+\.\d+)\.', 1) FROM logons
    WHERE outcome = 'success' AND src_ip NOT LIKE '%:%' AND ip_is_private(src_ip)
    GROUP BY ALL HAVING count(DISTINCT src_ip) >= 5
), pool AS (
    SELECT DISTINCT site, assigned_ip AS ip FROM vpn WHERE assigned_ip IS NOT NULL
)
SELECT s.site, s.ip,
    CASE WHEN t.zone IS NOT NULL THEN t.zone
         WHEN ip_in_network(s.ip, '127.0.0.0/8') OR ip_in_network(s.ip, '169.254.0.0/16')
              OR ip_in_network(s.ip, 'fe80::/10') OR s.ip IN ('::1', '0.0.0.0', '::') THEN 'local'
         WHEN p.ip IS NOT NULL THEN 'vpn'
         WHEN l.block IS NOT NULL THEN 'inside'
         WHEN ip_is_private(s.ip) THEN 'other' ELSE 'public' END AS zone,
    nullif(t.name, '') AS name, CASE WHEN t.zone IS NULL THEN 'inferred' ELSE 'site' END AS basis, o.host
FROM seen AS s
LEFT JOIN told AS t ON t.ip = s.ip AND t.site IS NOT DISTINCT FROM s.site
LEFT JOIN address_owners AS o ON o.ip = s.ip AND o.site IS NOT DISTINCT FROM s.site
LEFT JOIN pool AS p ON p.ip = s.ip AND p.site IS NOT DISTINCT FROM s.site
LEFT JOIN lived AS l ON l.site IS NOT DISTINCT FROM s.site
    AND l.block = CASE WHEN contains(s.ip, ':') THEN array_to_string(string_split(s.ip, ':')[1:4], ':')
        ELSE regexp_extract(s.ip, '^(\d+\.\d+\.\d+)\.', 1) END

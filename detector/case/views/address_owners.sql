-- view: address_owners
-- finds: the one host that an address most likely means, for records that name addresses only
-- columns: site, ip, host
-- needs: host_addresses
-- notes: The surest way in which it is known decides, then how often it was seen; where DHCP matters, host_addresses has
-- the times.
SELECT site, ip, arg_min(host, (
        CASE basis WHEN 'site' THEN 1 WHEN 'own' THEN 2 WHEN 'machine' THEN 3 WHEN 'firewall' THEN 4 ELSE 5 END,
        -events, host)) AS host
FROM host_addresses GROUP BY ALL

-- view: vpn_logins
-- finds: every attempt to come in by VPN or Remote Desktop Gateway, and every login to the administration of a VPN
--   appliance or firewall
-- columns: time, site, device, kind, account, account_original, outcome, src_ip, src_country, assigned_ip, vpn_type,
--   client, reason, session_id, event_id, source, evidence_id, evidence_offset
-- needs: remote_access
-- needs: firewall(site, evidence_id, evidence_offset, time, device, event_type, event_id, action, outcome, user, user_original, src_ip, src_country, session_id)
-- notes: kind: user (credentials judged, or a session began) or admin (an administrator's login to the device).
-- A VPN line without a country takes the one that a firewall line states of the same address (FortiGate names it only
-- in its traffic log); Reserved is FortiGate's word for private addresses.
WITH countries AS (
    SELECT site, src_ip, min(src_country) AS src_country FROM firewall
    WHERE src_country IS NOT NULL AND src_country NOT IN ('', 'N/A', 'Reserved')
      AND src_ip IN (SELECT src_ip FROM remote_access WHERE src_country IS NULL)
    GROUP BY ALL
)
SELECT v.time, v.site, v.device, 'user' AS kind, v.account, v.account_original, v.outcome,
    v.src_ip, coalesce(v.src_country, c.src_country) AS src_country, v.assigned_ip, v.vpn_type, v.client, v.reason,
    v.session_id, v.event_id, v.source, v.evidence_id, v.evidence_offset
FROM remote_access AS v
LEFT JOIN countries AS c ON c.src_ip = v.src_ip AND c.site IS NOT DISTINCT FROM v.site
WHERE v.kind IN ('authentication', 'session_start')
UNION ALL
SELECT time, site, device, 'admin', account_name("user"), user_original, coalesce(outcome, 'unknown'), src_ip,
    src_country, NULL, NULL, NULL, NULL, session_id, event_id, 'firewall', evidence_id, evidence_offset
FROM firewall WHERE event_type = 'admin' AND action = 'login'

-- view: vpn_logins
-- finds: every attempt to come in by VPN, and every login to the administration of a VPN appliance or firewall
-- columns: time, site, device, kind, account, account_original, outcome, src_ip, src_country, assigned_ip, vpn_type,
--   reason, session_id, event_id, source, evidence_id, evidence_offset
-- needs: vpn(site, evidence_id, evidence_offset, time, device, event_type, event_id, outcome, user, user_original, src_ip, src_country, assigned_ip, vpn_type, reason, session_id)
-- needs: firewall(site, evidence_id, evidence_offset, time, device, event_type, event_id, action, outcome, user, user_original, src_ip, src_country, session_id)
-- notes: kind: user (vpn: credentials judged, or a session began) or admin (an administrator's login to the device).
SELECT time, site, device, 'user' AS kind, lower("user") AS account, user_original AS account_original,
    coalesce(CASE WHEN outcome <> 'unknown' THEN outcome END,
             CASE WHEN event_type = 'session_start' THEN 'success' ELSE 'unknown' END) AS outcome,
    src_ip, src_country, assigned_ip, vpn_type, reason, session_id, event_id, 'vpn' AS source, evidence_id,
    evidence_offset
FROM vpn WHERE event_type IN ('authentication', 'session_start')
UNION ALL
SELECT time, site, device, 'admin', lower("user"), user_original, coalesce(outcome, 'unknown'), src_ip, src_country,
    NULL, NULL, NULL, session_id, event_id, 'firewall', evidence_id, evidence_offset
FROM firewall WHERE event_type = 'admin' AND action = 'login'

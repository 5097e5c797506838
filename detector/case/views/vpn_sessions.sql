-- view: vpn_sessions
-- finds: a user's tunnel from its beginning to its end
-- columns: started, ended, site, device, account, src_ip, src_country, assigned_ip, vpn_type, session_id, duration,
--   bytes_sent, bytes_received, evidence_id, evidence_offset, end_evidence_id, end_evidence_offset
-- needs: vpn(site, evidence_id, evidence_offset, time, device, event_type, outcome, user, src_ip, src_country, assigned_ip, vpn_type, session_id, duration, bytes_sent, bytes_received)
-- notes: An end belongs to the last beginning before it with the same device, user and session id, or, where the device
-- writes no id, the same address. ended is NULL where the log says nothing of it; evidence_* name the beginning.
WITH marks AS (
    SELECT *, lower("user") AS account, coalesce(session_id, src_ip, '') AS tunnel
    FROM vpn
    WHERE event_type = 'session_end' OR (event_type = 'session_start' AND coalesce(outcome, 'success') <> 'failure')
), paired AS (
    SELECT *,
        lead(event_type) OVER w AS next_type, lead(time) OVER w AS next_time, lead(duration) OVER w AS next_duration,
        lead(bytes_sent) OVER w AS next_sent, lead(bytes_received) OVER w AS next_received,
        lead(evidence_id) OVER w AS next_id, lead(evidence_offset) OVER w AS next_offset
    FROM marks
    WINDOW w AS (PARTITION BY site, device, account, tunnel ORDER BY time, evidence_id, evidence_offset)
)
SELECT time AS started, CASE WHEN next_type = 'session_end' THEN next_time END AS ended, site, device, account,
    src_ip, src_country, assigned_ip, vpn_type, session_id,
    CASE WHEN next_type = 'session_end' THEN coalesce(next_duration, epoch(next_time - time)) END AS duration,
    CASE WHEN next_type = 'session_end' THEN next_sent END AS bytes_sent,
    CASE WHEN next_type = 'session_end' THEN next_received END AS bytes_received,
    evidence_id, evidence_offset,
    CASE WHEN next_type = 'session_end' THEN next_id END AS end_evidence_id,
    CASE WHEN next_type = 'session_end' THEN next_offset END AS end_evidence_offset
FROM paired WHERE event_type = 'session_start'

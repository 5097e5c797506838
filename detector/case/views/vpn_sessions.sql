-- view: vpn_sessions
-- finds: a user's way in from outside, from its beginning to its end, also where the log lacks one of the two
-- columns: started, ended, site, device, account, account_domain, account_original, src_ip, src_country, assigned_ip,
--   target, vpn_type, client, session_id, state, outcome, reason, duration, bytes_sent, bytes_received, source,
--   evidence_id, evidence_offset, end_evidence_id, end_evidence_offset
-- needs: remote_access
-- notes: An end belongs to the last beginning before it on the same device with the same session id; else, where a line
-- writes no id, with the same assigned address, the same user and public address, or the same user. state: closed; open
-- (no end is in the log); end_only (no beginning is: started is computed from the duration, NULL where none is stated).
-- Beginnings within a minute of each other that contradict in nothing are one. A login that opened no session of its
-- own begins one where only its end is logged. The user, or the public address, that the lines of a session do not
-- name is that of the login within five minutes before. Failures are in vpn_logins. evidence_* name the beginning,
-- or the end where no beginning is known. target: the computer behind a Remote Desktop Gateway.
WITH marks AS (
    SELECT *, coalesce(site, '') AS site_key, coalesce(device, '') AS device_key,
        row_number() OVER (ORDER BY time, evidence_id, evidence_offset) AS n
    FROM remote_access
    WHERE outcome <> 'failure' AND time IS NOT NULL
      AND (kind <> 'authentication' OR outcome = 'success' OR (session_id IS NOT NULL AND account IS NOT NULL))
), flagged AS (
    SELECT *, CASE WHEN kind = 'session_start' AND lag(kind) OVER w = 'session_start'
            AND time - lag(time) OVER w <= INTERVAL 60 SECOND AND coalesce(lag(src_ip) OVER w = src_ip, true)
            AND coalesce(lag(session_id) OVER w = session_id, true)
            AND coalesce(lag(assigned_ip) OVER w = assigned_ip, true)
            AND lag(target) OVER w IS NOT DISTINCT FROM target THEN 0 ELSE 1 END AS fresh
    FROM marks WHERE kind <> 'authentication'
    WINDOW w AS (PARTITION BY site_key, device_key, account ORDER BY n)
), numbered AS (
    SELECT *, sum(fresh) OVER (PARTITION BY site_key, device_key, account ORDER BY n) AS run FROM flagged
), logins AS (
    SELECT * FROM marks WHERE kind = 'authentication' AND outcome = 'success'
), begun AS (
    SELECT site_key, device_key, account, min(n) AS n, min(time) AS time, min(site) AS site, min(device) AS device,
        arg_min(account_domain, n) AS account_domain, arg_min(account_original, n) AS account_original,
        arg_min(src_ip, n) AS src_ip, arg_min(src_country, n) AS src_country, arg_min(assigned_ip, n) AS assigned_ip,
        arg_min(target, n) AS target, arg_min(vpn_type, n) AS vpn_type, arg_min(client, n) AS client,
        arg_min(session_id, n) AS session_id, arg_min(source, n) AS source, arg_min(evidence_id, n) AS evidence_id,
        arg_min(evidence_offset, n) AS evidence_offset
    FROM numbered WHERE kind = 'session_start' GROUP BY site_key, device_key, account, run
), named AS (
    SELECT b.* EXCLUDE (near) REPLACE (
            CASE WHEN near THEN coalesce(account, l_account) ELSE account END AS account,
            CASE WHEN near THEN coalesce(account_domain, l_domain) ELSE account_domain END AS account_domain,
            CASE WHEN near THEN coalesce(account_original, l_original) ELSE account_original END AS account_original,
            CASE WHEN near THEN coalesce(src_ip, l_ip) ELSE src_ip END AS src_ip)
    FROM (
        SELECT b.*, l.account AS l_account, l.account_domain AS l_domain, l.account_original AS l_original,
            l.src_ip AS l_ip, coalesce(b.time - l.time <= INTERVAL 5 MINUTE, false) AS near
        FROM begun AS b
        -- Who asks under this id is who gets in, also where the line does not say how his password was judged.
        ASOF LEFT JOIN (SELECT * FROM marks WHERE kind = 'authentication' AND session_id IS NOT NULL) AS l
          ON l.site_key = b.site_key AND l.device_key = b.device_key AND l.session_id = b.session_id AND b.n >= l.n
    ) AS b
), starts AS (
    SELECT b.* REPLACE (coalesce(b.src_ip, CASE WHEN b.time - l.time <= INTERVAL 5 MINUTE THEN l.src_ip END) AS src_ip,
            coalesce(b.src_country, CASE WHEN b.time - l.time <= INTERVAL 5 MINUTE
                AND coalesce(b.src_ip = l.src_ip, true) THEN l.src_country END) AS src_country)
    FROM named AS b
    ASOF LEFT JOIN (SELECT * FROM logins WHERE src_ip IS NOT NULL) AS l
      ON l.site_key = b.site_key AND l.account = b.account AND b.n >= l.n
), ends AS (
    SELECT *, lag(n) OVER (PARTITION BY site_key, device_key, account ORDER BY n) AS end_before
    FROM marks WHERE kind = 'session_end'
), by_id AS (
    SELECT e.n, s.n AS start_n FROM ends AS e ASOF JOIN starts AS s
        ON s.site_key = e.site_key AND s.device_key = e.device_key AND s.session_id = e.session_id AND e.n >= s.n
    WHERE coalesce(s.account = e.account, true)
), by_assigned AS (
    SELECT e.n, s.n AS start_n FROM ends AS e ASOF JOIN starts AS s
        ON s.site_key = e.site_key AND s.device_key = e.device_key AND s.assigned_ip = e.assigned_ip AND e.n >= s.n
    WHERE (e.session_id IS NULL OR s.session_id IS NULL) AND coalesce(s.account = e.account, true)
), by_address AS (
    SELECT e.n, s.n AS start_n FROM ends AS e ASOF JOIN starts AS s
        ON s.site_key = e.site_key AND s.device_key = e.device_key AND s.account = e.account AND s.src_ip = e.src_ip
        AND e.n >= s.n
    WHERE (e.session_id IS NULL OR s.session_id IS NULL) AND coalesce(s.assigned_ip = e.assigned_ip, true)
), by_user AS (
    SELECT e.n, s.n AS last_start,
        CASE WHEN (e.session_id IS NULL OR s.session_id IS NULL) AND coalesce(s.assigned_ip = e.assigned_ip, true)
            AND coalesce(s.src_ip = e.src_ip, true) THEN s.n END AS start_n
    FROM ends AS e ASOF JOIN starts AS s
        ON s.site_key = e.site_key AND s.device_key = e.device_key AND s.account = e.account AND e.n >= s.n
), matched AS (
    SELECT e.*, u.last_start, i.start_n IS NOT NULL AS sure,
        coalesce(i.start_n, a.start_n, p.start_n, u.start_n) AS start_n
    FROM ends AS e LEFT JOIN by_id AS i USING (n) LEFT JOIN by_assigned AS a USING (n)
    LEFT JOIN by_address AS p USING (n) LEFT JOIN by_user AS u USING (n)
), checked AS (
    -- An end that says how long the session was does not end one that began at another time.
    SELECT m.* REPLACE (CASE WHEN m.sure OR m.duration IS NULL
            OR abs(epoch(m.time - s.time) - m.duration) <= greatest(300, 0.1 * m.duration) THEN m.start_n END AS start_n)
    FROM matched AS m LEFT JOIN starts AS s ON s.n = m.start_n
), ordered AS (
    -- What says again, minutes later, that it has ended is no other session; what says it hours later is.
    SELECT *, CASE WHEN start_n IS NULL
        OR time - min(time) OVER (PARTITION BY start_n) <= INTERVAL 10 MINUTE THEN start_n END AS belongs_to
    FROM checked
), closing AS (
    SELECT belongs_to AS n, min(time) AS ended, max(duration) AS duration, max(bytes_sent) AS bytes_sent,
        max(bytes_received) AS bytes_received, arg_min(reason, n) AS reason, arg_min(assigned_ip, n) AS assigned_ip,
        arg_min(client, n) AS client, arg_min(src_ip, n) AS src_ip, arg_min(evidence_id, n) AS end_evidence_id,
        arg_min(evidence_offset, n) AS end_evidence_offset, arg_min(account, n) AS account,
        arg_min(account_original, n) AS account_original
    FROM ordered WHERE belongs_to IS NOT NULL GROUP BY belongs_to
), alone AS (
    SELECT o.*, l.n AS login_n, l.time AS login_time, l.src_ip AS login_ip, l.src_country AS login_country,
        l.evidence_id AS login_id, l.evidence_offset AS login_offset, l.account_domain AS login_domain
    FROM (SELECT * FROM ordered WHERE belongs_to IS NULL) AS o
    ASOF LEFT JOIN logins AS l
      ON l.site_key = o.site_key AND l.device_key = o.device_key AND l.account = o.account AND o.n >= l.n
), judged AS (
    SELECT *, login_n IS NOT NULL AND login_n > coalesce(last_start, 0) AND login_n > coalesce(end_before, 0)
        AND coalesce(login_ip = src_ip, true)
        AND coalesce(abs(epoch(time - login_time) - duration) <= greatest(300, 0.1 * duration), true) AS from_login
    FROM alone
)
SELECT s.time AS started, c.ended, s.site, s.device, coalesce(s.account, c.account) AS account, s.account_domain,
    coalesce(s.account_original, c.account_original) AS account_original, coalesce(s.src_ip, c.src_ip) AS src_ip,
    s.src_country, coalesce(s.assigned_ip, c.assigned_ip) AS assigned_ip, s.target, s.vpn_type,
    coalesce(s.client, c.client) AS client, s.session_id, CASE WHEN c.n IS NULL THEN 'open' ELSE 'closed' END AS state,
    'success' AS outcome, c.reason, coalesce(c.duration, epoch(c.ended - s.time)) AS duration, c.bytes_sent,
    c.bytes_received, s.source, s.evidence_id, s.evidence_offset, c.end_evidence_id, c.end_evidence_offset
FROM starts AS s LEFT JOIN closing AS c USING (n)
UNION ALL
SELECT CASE WHEN from_login THEN login_time ELSE time - to_microseconds(CAST(duration * 1000000 AS BIGINT)) END, time,
    site, device, account, coalesce(account_domain, CASE WHEN from_login THEN login_domain END), account_original,
    coalesce(src_ip, CASE WHEN from_login THEN login_ip END),
    coalesce(src_country, CASE WHEN from_login THEN login_country END), assigned_ip, target, vpn_type, client,
    session_id, CASE WHEN from_login THEN 'closed' ELSE 'end_only' END, 'success', reason,
    coalesce(duration, CASE WHEN from_login THEN epoch(time - login_time) END), bytes_sent, bytes_received, source,
    CASE WHEN from_login THEN login_id ELSE evidence_id END,
    CASE WHEN from_login THEN login_offset ELSE evidence_offset END, evidence_id, evidence_offset
FROM judged

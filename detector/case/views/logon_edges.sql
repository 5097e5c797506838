-- view: logon_edges
-- finds: which account went from which machine to which, since when and how regularly
-- columns: site, src, account, host, first_seen, last_seen, attempts, successes, days, hours, history_days,
--   is_habitual, is_new
-- needs: logon_attempts, logons
-- notes: One row for (src, account, host) of logon_attempts. history_days: how long the destination's log (or,
-- if that is missing, the log that told of it) had been running before the first time. is_habitual: seen on
-- three days or more, or in six different hours or more: a backup, a monitor, a daily task. is_new: it was not
-- there before although a day or more of log was, or it never became a habit; a log that begins in the
-- middle of a habit does not make the habit new.
WITH begun AS (
    SELECT site, host, min(time) AS begins FROM logons GROUP BY ALL
), begun_anywhere AS (
    SELECT site, source, min(time) AS begins FROM logon_attempts GROUP BY ALL
), edges AS (
    SELECT a.site, a.src, a.account, a.host, min(a.time) AS first_seen, max(a.time) AS last_seen,
        count(*) AS attempts, count(*) FILTER (a.outcome = 'success') AS successes,
        count(DISTINCT date_trunc('day', a.time)) AS days, count(DISTINCT date_trunc('hour', a.time)) AS hours,
        min(coalesce(b.begins, w.begins)) AS begins
    FROM logon_attempts AS a
    LEFT JOIN begun AS b ON b.host = a.host AND b.site IS NOT DISTINCT FROM a.site
    LEFT JOIN begun_anywhere AS w ON w.source = a.source AND w.site IS NOT DISTINCT FROM a.site
    GROUP BY ALL
)
SELECT site, src, account, host, first_seen, last_seen, attempts, successes, days, hours,
    epoch(first_seen - begins) / 86400 AS history_days, days >= 3 OR hours >= 6 AS is_habitual,
    epoch(first_seen - begins) >= 86400 OR NOT (days >= 3 OR hours >= 6) AS is_new
FROM edges

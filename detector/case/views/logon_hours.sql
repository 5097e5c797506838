-- view: logon_hours
-- finds: how busy each hour of the day (UTC) is at a site, by the logons of people: what "at night" means there
-- columns: site, hour, logons, busy
-- needs: logons
-- notes: busy: the hour's logons beside the mean of all 24 hours (1 is as busy as the mean). A site has no rows unless
-- people logged on in the same hour of two days: before that its hours say nothing.
WITH by_hour AS (
    SELECT site, hour(time) AS hour, count(*) AS logons, count(DISTINCT CAST(time AS DATE)) AS days FROM logons
    WHERE outcome = 'success' AND NOT is_machine_account AND NOT is_system AND NOT is_anonymous GROUP BY ALL
), clock AS (
    SELECT site, sum(logons) AS total, unnest(range(24)) AS hour FROM by_hour GROUP BY site HAVING max(days) >= 2
)
SELECT c.site, c.hour, coalesce(b.logons, 0) AS logons, coalesce(b.logons, 0) * 24 / c.total AS busy
FROM clock AS c LEFT JOIN by_hour AS b ON b.hour = c.hour AND b.site IS NOT DISTINCT FROM c.site

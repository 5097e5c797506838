-- view: antivirus_changes
-- finds: protection removed, switched off, stopped or weakened, and installed or switched on
-- columns: time, site, host, computer, action, product, vendor, expected, detail, account_sid, event_id, source,
--   evidence_id, evidence_offset
-- needs: software_changes, services, site_antivirus(site, product)
-- needs: windows_defender(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, Security_UserID, New Value)
-- notes: action: removed, installed, updated (Windows Installer); disabled (Defender 5001, 5010, 5012; a service set to
-- disabled), stopped (service), started, enabled (Defender 5000), exclusion (Defender 5007 that adds one), changed
-- (other 5007 settings under Exclusions or Real-Time Protection). vendor is a word of the name, so that a removal and a
-- later installation of the same vendor's next version can be joined. Names: the vendors' own documents; a product
-- that only site.toml names is known by that name (vendor, lower case) in the product, or in the service's names.
-- expected: site.toml names the product, or another of its vendor, as one that should be running; NULL if it names none.
WITH names(vendor, product, service) AS (
    VALUES
    ('trend micro', 'trend\s*micro|officescan|apex one|worry-free|ウイルスバスター|deep security', 'ntrtscan|tmlisten|tmccsf|tmbmserver|tmpfw|ds_agent|ds_monitor|ds_notifier|amsp'),
    ('symantec', 'symantec|norton', 'sepmasterservice|symantec.*|sepscanservice|smc|smcservice|norton.*|rtvscan'),
    ('mcafee', 'mcafee|trellix', 'mcshield|masvc|macmnsvc|mfemms|mfevtp|mfefire|mfetp|mfeesp|mcafee.*|enterceptagent|xagt'),
    ('eset', '\beset\b', 'ekrn|ekrnepfw|eraagentsvc|ehttpsrv'),
    ('sophos', 'sophos', 'savservice|savadminservice|sntpservice|swi_service|mcsagent|mcsclient|hmpalertsvc|sophos.*'),
    ('kaspersky', 'kaspersky', 'avp.*|klnagent|kavfs.*|kavsvc'),
    ('crowdstrike', 'crowdstrike|falcon sensor', 'csfalconservice|csagent'),
    ('sentinelone', 'sentinelone|sentinel agent', 'sentinelagent|sentinelhelperservice|sentinelstaticengine|logprocessorservice'),
    ('cybereason', 'cybereason', 'cybereason.*|craactive.*|amsvc'),
    ('cylance', 'cylance', 'cylancesvc|cyoptics'),
    ('f-secure', 'f-secure|withsecure', 'fsms|fsma|fshoster|fsulhoster|fsorsp|f-secure.*'),
    ('bitdefender', 'bitdefender', 'epsecurityservice|epprotectedservice|epupdateservice|epintegrationservice|vsserv|bdservicehost|bdredline'),
    ('avast', 'avast|\bavg\b', 'avast.*|avg.*|aswbidsagent'),
    ('avira', 'avira', 'antivirservice|antivirschedulerservice|avira.*'),
    ('panda', 'panda (security|endpoint|dome|adaptive)', 'psuaservice|nanoservicemain|pandaagent'),
    ('carbon black', 'carbon ?black|cb defense', 'cbdefense|carbonblack|parity'),
    ('malwarebytes', 'malwarebytes', 'mbamservice|mbendpointagent'),
    ('webroot', 'webroot', 'wrsvc|wrcoreservice|wrskyclient'),
    ('palo alto', 'cortex xdr|\btraps\b', 'cyserver|cyverasvc|tlaservice'),
    ('ffri', 'ffri yarai|\byarai\b', 'yarai.*|ffri.*'),
    ('check point', 'check point endpoint|zonealarm', 'vsmon|cpda|tracsrvwrapper'),
    ('fortinet', 'forticlient|fortiedr', 'fa_scheduler|forticlient.*|fortiedr.*'),
    ('cisco', 'cisco (amp|secure endpoint)|immunet', 'ciscoamp.*|immunetprotect.*|sfc'),
    ('g data', 'g ?data (antivirus|security|client|internet)', 'avkwctl|avkproxy|gdscan|avkclient'),
    ('dr.web', 'dr\.?web', 'drweb.*|dwengine'),
    ('microsoft', 'microsoft (security client|forefront|endpoint protection)|(windows|microsoft) defender|system center endpoint protection', 'windefend|wdnissvc|sense|msmpsvc|wdfilter|mpssvc|securityhealthservice'),
    ('other', '\banti-?virus\b|\bantimalware\b|endpoint (security|protection)|ウイルス対策', NULL)
), told AS (
    SELECT s.site, lower(trim(s.product)) AS word,
        (SELECT first(vendor) FROM names WHERE vendor <> 'other' AND regexp_matches(lower(s.product), names.product)) AS vendor
    FROM site_antivirus AS s WHERE trim(s.product) <> ''
), seen AS (
    SELECT DISTINCT site, 'software' AS kind, product AS name, lower(product) AS shown,
        (SELECT first(vendor) FROM names WHERE regexp_matches(lower(c.product), names.product)) AS vendor
    FROM software_changes AS c WHERE product IS NOT NULL
    UNION ALL
    SELECT site, 'service', service_name, lower(concat_ws(' ', service_name, min(display_name))),
        (SELECT first(vendor) FROM names WHERE regexp_full_match(lower(s.service_name), names.service))
    FROM services AS s WHERE action <> 'installed' AND service_name IS NOT NULL GROUP BY site, service_name
), known AS (
    SELECT s.site, s.kind, s.name, min(t.word) FILTER (contains(s.shown, t.word)) AS word, s.vendor,
        CASE WHEN count(t.word) > 0 THEN bool_or(contains(s.shown, t.word) OR coalesce(t.vendor = s.vendor, false)) END
            AS expected
    FROM seen AS s LEFT JOIN told AS t ON coalesce(t.site, s.site) IS NOT DISTINCT FROM s.site
    GROUP BY ALL
), named AS (
    SELECT site, kind, name, expected,
        CASE WHEN vendor IS NULL OR vendor = 'other' THEN coalesce(word, vendor) ELSE vendor END AS vendor
    FROM known WHERE vendor IS NOT NULL OR word IS NOT NULL
), defender AS (
    SELECT site, bool_or(coalesce(vendor = 'microsoft', false)) AS expected FROM told GROUP BY ALL
)
SELECT c.time, c.site, c.host, c.computer, c.action, c.product, n.vendor, n.expected,
    concat_ws(' ', c.version, c.manufacturer) AS detail, c.account_sid, c.event_id, c.source, c.evidence_id,
    c.evidence_offset
FROM software_changes AS c
JOIN named AS n ON n.kind = 'software' AND n.name = c.product AND n.site IS NOT DISTINCT FROM c.site
WHERE c.succeeded
UNION ALL
SELECT s.time, s.site, s.host, s.computer,
    CASE WHEN s.action <> 'start_type_changed' THEN s.action
         WHEN lower(s.start_type) = 'disabled' OR contains(s.start_type, '無効') THEN 'disabled'
         ELSE 'changed' END,
    s.service_name, n.vendor, n.expected, s.start_type, s.account_sid, s.event_id, s.source, s.evidence_id,
    s.evidence_offset
FROM services AS s
JOIN named AS n ON n.kind = 'service' AND n.name = s.service_name AND n.site IS NOT DISTINCT FROM s.site
WHERE s.action IN ('stopped', 'started', 'start_type_changed', 'crashed')
UNION ALL
SELECT w.TimeCreated, w.site, upper(split_part(w.Computer, '.', 1)), w.Computer,
    CASE WHEN w.EventID = 5000 THEN 'enabled' WHEN w.EventID <> 5007 THEN 'disabled'
         WHEN contains(lower(w."New Value"), '\exclusions\') THEN 'exclusion'
         WHEN regexp_matches(lower(w."New Value"), 'disable\w+ = 0x1') THEN 'disabled'
         ELSE 'changed' END,
    'Windows Defender', 'microsoft', d.expected, nullif(w."New Value", ''), w.Security_UserID, w.EventID,
    'windows_defender', w.evidence_id, w.evidence_offset
FROM windows_defender AS w LEFT JOIN defender AS d ON coalesce(d.site, w.site) IS NOT DISTINCT FROM w.site
WHERE w.EventID IN (5000, 5001, 5010, 5012)
   OR (w.EventID = 5007 AND (contains(lower(w."New Value"), '\exclusions\')
                           OR regexp_matches(lower(w."New Value"), 'real-time protection\\disable')))

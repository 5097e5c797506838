-- view: antivirus_changes
-- finds: protection removed, switched off, stopped or weakened, and installed or switched on
-- columns: time, site, host, computer, action, product, vendor, detail, account_sid, event_id, source, evidence_id,
--   evidence_offset
-- needs: software_changes, services
-- needs: windows_defender(site, evidence_id, evidence_offset, TimeCreated, EventID, Computer, Security_UserID, New Value)
-- notes: action: removed, installed, updated (Windows Installer); disabled (Defender 5001, 5010, 5012; a service set to
-- disabled), stopped (service), started, enabled (Defender 5000), exclusion (Defender 5007 that adds one), changed
-- (other 5007 settings under Exclusions or Real-Time Protection). vendor is a word of the name, so that a removal and a
-- later installation of the same vendor's next version can be joined. Names: the vendors' own documents.
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
    ('microsoft', 'microsoft (security client|forefront|endpoint protection)|windows defender|system center endpoint protection', 'windefend|wdnissvc|sense|msmpsvc|wdfilter|mpssvc|securityhealthservice'),
    ('other', '\banti-?virus\b|\bantimalware\b|endpoint (security|protection)|ウイルス対策', NULL)
), software AS (
    SELECT DISTINCT product, (
        SELECT first(vendor) FROM names WHERE regexp_matches(lower(s.product), names.product)) AS vendor
    FROM software_changes AS s WHERE product IS NOT NULL
), service AS (
    SELECT DISTINCT service_name, (
        SELECT first(vendor) FROM names WHERE regexp_full_match(lower(s.service_name), names.service)) AS vendor
    FROM services AS s WHERE action <> 'installed'
)
SELECT c.time, c.site, c.host, c.computer, c.action, c.product, n.vendor,
    concat_ws(' ', c.version, c.manufacturer) AS detail, c.account_sid, c.event_id, c.source, c.evidence_id,
    c.evidence_offset
FROM software_changes AS c JOIN software AS n USING (product)
WHERE n.vendor IS NOT NULL AND c.succeeded
UNION ALL
SELECT s.time, s.site, s.host, s.computer,
    CASE WHEN s.action <> 'start_type_changed' THEN s.action
         WHEN lower(s.start_type) = 'disabled' OR contains(s.start_type, '無効') THEN 'disabled'
         ELSE 'changed' END,
    s.service_name, n.vendor, s.start_type, s.account_sid, s.event_id, s.source, s.evidence_id, s.evidence_offset
FROM services AS s JOIN service AS n USING (service_name)
WHERE n.vendor IS NOT NULL AND s.action IN ('stopped', 'started', 'start_type_changed', 'crashed')
UNION ALL
SELECT TimeCreated, site, upper(split_part(Computer, '.', 1)), Computer,
    CASE WHEN EventID = 5000 THEN 'enabled' WHEN EventID <> 5007 THEN 'disabled'
         WHEN contains(lower("New Value"), '\exclusions\') THEN 'exclusion'
         WHEN regexp_matches(lower("New Value"), 'disable\w+ = 0x1') THEN 'disabled'
         ELSE 'changed' END,
    'Windows Defender', 'microsoft', nullif("New Value", ''), Security_UserID, EventID, 'windows_defender',
    evidence_id, evidence_offset
FROM windows_defender
WHERE EventID IN (5000, 5001, 5010, 5012)
   OR (EventID = 5007 AND (contains(lower("New Value"), '\exclusions\')
                           OR regexp_matches(lower("New Value"), 'real-time protection\\disable')))

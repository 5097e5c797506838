-- view: software_changes
-- finds: software installed, updated or removed through Windows Installer
-- columns: time, site, host, computer, action, succeeded, product, version, manufacturer, status, account_sid,
--   product_code, event_id, source, evidence_id, evidence_offset
-- needs: windows_application(site, evidence_id, evidence_offset, TimeCreated, EventID, Provider_Name, Computer, Security_UserID, Data, Binary)
-- notes: MsiInstaller 1033 / 11707 / 11708 (installed, failed), 1034 / 11724 / 11725 (removed, failed), 1035 / 1036 / 1022
-- (reconfigured, updated). 1033 to 1036 carry name, version, language, status, manufacturer as separate values; 117xx
-- carry one sentence in the language of Windows, `Product: NAME -- …`, of which only NAME is read.
WITH msi AS (
    SELECT *, string_split(Data, chr(10)) AS part,
        CASE WHEN regexp_full_match("Binary", '7[Bb](?:[0-7][0-9A-Fa-f]){37}.*') THEN decode(from_hex("Binary"[1:76])) END AS code
    FROM windows_application
    WHERE Provider_Name = 'MsiInstaller'
      AND EventID IN (1022, 1033, 1034, 1035, 1036, 11707, 11708, 11724, 11725)
)
SELECT TimeCreated AS time, site, upper(split_part(Computer, '.', 1)) AS host, Computer AS computer,
    CASE WHEN EventID IN (1033, 11707, 11708) THEN 'installed' WHEN EventID IN (1034, 11724, 11725) THEN 'removed'
         ELSE 'updated' END AS action,
    CASE WHEN EventID IN (11708, 11725) THEN false WHEN EventID IN (1033, 1034, 1035)
         THEN trim(part[4]) IN ('0', '1641', '3010') ELSE true END AS succeeded,
    CASE WHEN EventID > 11000 THEN nullif(trim(regexp_extract(part[1], '^[^:：]*[:：]\s*(.*?)\s+--', 1)), '')
         ELSE nullif(trim(part[1]), '') END AS product,
    CASE WHEN EventID IN (1033, 1034, 1035, 1036) THEN nullif(trim(part[2]), '(NULL)') END AS version,
    CASE WHEN EventID IN (1033, 1034, 1035) THEN nullif(trim(part[5]), '(NULL)') END AS manufacturer,
    CASE WHEN EventID IN (1033, 1034, 1035) THEN trim(part[4]) END AS status,
    Security_UserID AS account_sid, code AS product_code, EventID AS event_id, 'windows_application' AS source,
    evidence_id, evidence_offset
FROM msi

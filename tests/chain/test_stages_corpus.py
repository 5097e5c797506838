"""The stages on recordings that nobody here made: what they find in which file, and what they leave alone."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.chain import run_case

pytestmark = pytest.mark.corpus

DUMP = "credential_access_dump"
PROCESS = "lateral_movement_remote_process"
SHARE = "lateral_movement_admin_share_tools"
EXECUTION = "lateral_movement_remote_execution"

ATTACK_SAMPLES = {
    "CA_DCSync_4662.evtx": DUMP,
    "CA_Mimikatz_Memssp_Default_Logs_Sysmon_11.evtx": DUMP,
    "CA_hashdump_4663_4656_lsass_access.evtx": DUMP,
    "LsassSilentProcessExit_process_exit_monitor_3001_lsass.evtx": DUMP,
    "Powershell_4104_MiniDumpWriteDump_Lsass.evtx": DUMP,
    "babyshark_mimikatz_powershell.evtx": DUMP,
    "dc_applog_ntdsutil_dfir_325_326_327.evtx": DUMP,
    "ppl_bypass_ppldump_knowdll_hijack_sysmon_security.evtx": DUMP,
    "sysmon_10_11_lsass_memdump.evtx": DUMP,
    "sysmon_10_11_outlfank_dumpert_and_andrewspecial_memdump.evtx": DUMP,
    "sysmon_10_1_memdump_comsvcs_minidump.evtx": DUMP,
    "sysmon_10_lsass_mimikatz_sekurlsa_logonpasswords.evtx": DUMP,
    "sysmon_2x10_lsass_with_different_pid_RtlCreateProcessReflection.evtx": DUMP,
    "sysmon_3_10_Invoke-Mimikatz_hosted_Github.evtx": DUMP,
    "sysmon_rdrleakdiag_lsass_dump.evtx": DUMP,
    "tutto_malseclogon.evtx": DUMP,
    "kerberos_pwd_spray_4771.evtx": "discovery_password_spraying",
    "DE_1102_security_log_cleared.evtx": "defense_evasion_logs_cleared",
    "DE_104_system_log_cleared.evtx": "defense_evasion_logs_cleared",
    "DE_RDP_Tunnel_5156.evtx": "remote_desktop_tunnel",
    "DE_RDP_Tunneling_4624.evtx": "remote_desktop_tunnel",
    "DE_sysmon-3-rdp-tun.evtx": "remote_desktop_tunnel",
    "tunna_iis_rdp_smb_tunneling_sysmon_3.evtx": "remote_desktop_tunnel",
    "LM_5145_Remote_FileCopy.evtx": SHARE,
    "LM_REMCOM_5145_TargetHost.evtx": SHARE,
    "LM_renamed_psexecsvc_5145.evtx": SHARE,
    "DE_renamed_psexec_service_sysmon_17_18.evtx": SHARE,
    "LM_DCOM_MSHTA_LethalHTA_Sysmon_3_1.evtx": PROCESS,
    "LM_impacket_docmexec_mmc_sysmon_01.evtx": PROCESS,
    "LM_sysmon_psexec_smb_meterpreter.evtx": PROCESS,
    "LM_winrm_exec_sysmon_1_winrshost.evtx": PROCESS,
    "LM_wmiexec_impacket_sysmon_whoami.evtx": PROCESS,
    "smbmap_upload_exec_sysmon.evtx": PROCESS,
    "sysmon_1_exec_via_sql_xpcmdshell.evtx": PROCESS,
    "remote task update 4624 4702 same logonid.evtx": EXECUTION,
    "Network_Service_Guest_added_to_admins_4732.evtx": "lateral_movement_new_account",
    "PanacheSysmon_vs_AtomicRedTeam01.evtx": "impact_recovery_destroyed",
}

OTRF = {
    "credential_access/host/cmd_lsass_memory_dumpert_syscalls.zip": {DUMP},
    "credential_access/host/covenant_dcsync_dcerpc_drsuapi_DsGetNCChanges.zip": {DUMP},
    "credential_access/host/cmd_dumping_ntds_dit_file_ntdsutil.zip": {DUMP},
    "credential_access/host/empire_shell_reg_dump_sam.zip": {DUMP},
    "credential_access/host/rdp_interactive_taskmanager_lsass_dump.zip": {
        DUMP,
        "remote_desktop_from_outside",
    },
    "lateral_movement/host/covenant_copy_smb_CreateRequest.zip": {SHARE},
    "lateral_movement/host/covenant_dcom_registerxll.zip": {PROCESS},
    "lateral_movement/host/empire_msbuild_dcerpc_wmi_smb.zip": {PROCESS},
    "lateral_movement/host/empire_wmic_add_user_backdoor.zip": {PROCESS},
    "lateral_movement/host/purplesharp_ad_playbook_I.zip": {PROCESS},
    "lateral_movement/host/schtask_create.zip": {EXECUTION},
}


def _stages_by_file(folder: Path, evidence: list[Path]) -> dict[str, set[str]]:
    case = Case.create(folder)
    ingest(case, evidence, IngestOptions(time_zone="UTC"))
    result = run_case(case)
    assert result.problems == ()
    paths = {row["evidence_id"]: row["path"] for row in case.evidence().to_pylist()}
    found: dict[str, set[str]] = defaultdict(set)
    for finding in result.findings.to_pylist():
        for event in finding["events"]:
            found[paths[event["evidence_id"]]].add(finding["stage"])
    return found


@pytest.fixture(scope="module")
def attack_samples(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    folder = tmp_path_factory.mktemp("samples") / "case"
    found = _stages_by_file(folder, [corpus / "evtx" / "attack-samples"])
    return {Path(path).name: stages for path, stages in found.items()}


def test_attack_samples(attack_samples: dict[str, set[str]]) -> None:
    missed = {file for file, stage in ATTACK_SAMPLES.items() if stage not in attack_samples.get(file, set())}
    assert missed == set()


def test_privilege_escalation_on_one_host_is_no_lateral_spread(attack_samples: dict[str, set[str]]) -> None:
    """Some forty recordings of UAC bypasses: local, so that no stage may speak but of a cleared log."""
    bypasses = {name: found for name, found in attack_samples.items() if "uac" in name.lower()}
    assert set().union(*bypasses.values()) <= {"defense_evasion_logs_cleared"}


def test_recordings_of_single_hosts_show_no_mass(attack_samples: dict[str, set[str]]) -> None:
    found = set().union(*attack_samples.values())
    assert not {stage for stage in found if stage.startswith("mass_logon") or stage.endswith("_spread")}


def test_otrf(corpus: Path, tmp_path: Path) -> None:
    root = corpus / "otrf" / "atomic" / "windows"
    found = _stages_by_file(tmp_path / "case", [root / name for name in OTRF])
    by_archive: dict[str, set[str]] = defaultdict(set)
    for path, stages in found.items():
        by_archive[path.split("!")[0].replace("\\", "/").split("/windows/")[-1]] |= stages
    missed = {name: wanted - by_archive[name] for name, wanted in OTRF.items() if wanted - by_archive[name]}
    assert missed == {}

"""Rules find what recordings of real attacks show; the recordings were made by other people."""

from __future__ import annotations

from pathlib import Path

import pytest

from detector.case.ingest import IngestOptions, ingest
from detector.case.store import Case
from detector.sigma.pack import load_pack
from detector.sigma.scan import scan
from tests.rules.pack import RULES, rule, rule_paths

pytestmark = pytest.mark.corpus

#: Recording -> a rule that must be among those that hit.
EXPECTED = {
    "Command and Control/DE_RDP_Tunneling_4624.evtx": "win_security_rdp_logon_from_loopback",
    "Command and Control/DE_RDP_Tunnel_5156.evtx": "net_connection_win_rdp_loopback_or_tunnel",
    "Credential Access/4794_DSRM_password_change_t1098.evtx": "win_security_dsrm_password_changed",
    "Credential Access/CA_DCSync_4662.evtx": "win_security_dcsync",
    "Credential Access/CA_hashdump_4663_4656_lsass_access.evtx": "win_security_lsass_handle_or_access",
    "Credential Access/CA_protectedstorage_5145_rpc_masterkey.evtx": "win_security_dpapi_backup_key",
    "Credential Access/Powershell_4104_MiniDumpWriteDump_Lsass.evtx": "posh_ps_credential_dumping",
    "Credential Access/dc_applog_ntdsutil_dfir_325_326_327.evtx": "win_application_esent_ntds_copy",
    "Credential Access/sysmon_10_11_lsass_memdump.evtx": "proc_access_win_lsass_dump_call_trace",
    "Credential Access/sysmon_10_1_memdump_comsvcs_minidump.evtx": "proc_creation_win_lsass_dump",
    "Credential Access/sysmon_10_lsass_mimikatz_sekurlsa_logonpasswords.evtx": (
        "proc_access_win_lsass_memory_read"
    ),
    "Defense Evasion/DE_1102_security_log_cleared.evtx": "win_security_audit_log_cleared",
    "Defense Evasion/DE_104_system_log_cleared.evtx": "win_system_eventlog_cleared",
    "Defense Evasion/DE_renamed_psexec_service_sysmon_17_18.evtx": (
        "pipe_created_win_remote_execution_or_beacon"
    ),
    "Defense Evasion/de_PsScriptBlockLogging_disabled_sysmon12_13.evtx": "registry_event_logging_disabled",
    "Defense Evasion/de_portforward_netsh_rdp_sysmon_13_1.evtx": "registry_set_portproxy",
    "Defense Evasion/sysmon_13_rdp_settings_tampering.evtx": "registry_set_rdp_enabled",
    "Discovery/4799_remote_local_groups_enumeration.evtx": "win_security_remote_local_group_enumeration",
    "Lateral Movement/LM_4624_mimikatz_sekurlsa_pth_source_machine.evtx": (
        "win_security_new_credentials_logon"
    ),
    "Lateral Movement/LM_5145_Remote_FileCopy.evtx": "win_security_admin_share_executable_written",
    "Lateral Movement/LM_Remote_Service01_5145_svcctl.evtx": "win_security_remote_control_pipe",
    "Lateral Movement/LM_Remote_Service02_7045.evtx": "win_system_service_with_command_line",
    "Lateral Movement/LM_ScheduledTask_ATSVC_target_host.evtx": "win_security_suspicious_task_created",
    "Lateral Movement/LM_dcom_shwnd_shbrwnd_mmc20_failed_traces_system_10016.evtx": (
        "win_system_dcom_remote_launch_denied"
    ),
    "Lateral Movement/LM_impacket_docmexec_mmc_sysmon_01.evtx": "proc_creation_win_dcom_spawned_shell",
    "Lateral Movement/LM_renamed_psexecsvc_5145.evtx": "win_security_remote_execution_pipe",
    "Lateral Movement/LM_winrm_exec_sysmon_1_winrshost.evtx": "proc_creation_win_winrm_spawned_process",
    "Lateral Movement/LM_wmiexec_impacket_sysmon_whoami.evtx": (
        "proc_creation_win_impacket_output_redirection"
    ),
    "Lateral Movement/sysmon_1_exec_via_sql_xpcmdshell.evtx": "proc_creation_win_sql_server_spawned_shell",
}


@pytest.fixture(scope="module")
def hits(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[str]]:
    """Return for each recording the rules that hit it."""
    root = corpus / "evtx" / "attack-samples"
    case = Case.create(tmp_path_factory.mktemp("recordings") / "case")
    ingest(case, [root / name for name in EXPECTED], IngestOptions(workers=1))
    stems = {rule(path)["id"]: path.stem for path in rule_paths()}
    with case.connect() as engine:
        result = scan(engine, load_pack([RULES]).rules)
        evidence = engine.execute("SELECT evidence_id, path FROM evidence").to_pylist()
    assert not result.problems
    names = {row["evidence_id"]: Path(row["path"]).relative_to(root).as_posix() for row in evidence}
    found: dict[str, set[str]] = {name: set() for name in EXPECTED}
    for row in result.hits.select(["rule_id", "evidence_id"]).to_pylist():
        found[names[row["evidence_id"]]].add(stems[row["rule_id"]])
    return found


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_rule_for_it_finds_the_recording(name: str, hits: dict[str, set[str]]) -> None:
    assert EXPECTED[name] in hits[name]

# ruff: noqa: E501 - lists of names
"""Names of the positions in PAN-OS log lines, by log type.

They are the names of Palo Alto Networks' field descriptions for syslog
(https://docs.paloaltonetworks.com/pan-os/11-1/pan-os-admin/monitoring/use-syslog-for-monitoring). Each version
appends to the lists of the one before, so the longest list reads the lines of all versions; positions that the
vendor calls FUTURE_USE have no name here and are passed over while they are empty.
"""

from __future__ import annotations

_BEGIN = ("", "receive_time", "serial", "type", "subtype", "config_version", "time_generated")
_FLOW = (
    "src dst natsrc natdst rule srcuser dstuser app vsys from to inbound_if outbound_if logset logtime sessionid"
    " repeatcnt sport dport natsport natdport flags proto action"
)
_GROUPS = "dg_hier_level_1 dg_hier_level_2 dg_hier_level_3 dg_hier_level_4 vsys_name device_name"
_DEVICES = (
    "src_category src_profile src_model src_vendor src_osfamily src_osversion src_host src_mac dst_category"
    " dst_profile dst_model dst_vendor dst_osfamily dst_osversion dst_host dst_mac"
)
_APP = (
    "subcategory_of_app category_of_app technology_of_app risk_of_app characteristic_of_app container_of_app"
    " tunneled_app is_saas_of_app sanctioned_state_of_app"
)


def _names(text: str) -> tuple[str, ...]:
    """Return the names of a list; `-` stands for a position without name."""
    return _BEGIN + tuple("" if name == "-" else name for name in text.split())


_TUNNEL = _names(
    f"{_FLOW} severity seqno actionflags srcloc dstloc {_GROUPS} tunnelid monitortag parent_session_id"
    " parent_start_time tunnel bytes bytes_sent bytes_received packets pkts_sent pkts_received max_encap"
    " unknown_proto strict_check tunnel_fragment sessions_created sessions_closed session_end_reason"
    " action_source start elapsed tunnel_insp_rule remote_user_ip remote_user_id rule_uuid pcap_id"
    f" dynusergroup_name src_edl dst_edl high_res_timestamp nssai_sd nssai_sst pdu_session_id {_APP}"
)

FIELDS: dict[str, tuple[str, ...]] = {
    "TRAFFIC": _names(
        f"{_FLOW} bytes bytes_sent bytes_received packets start elapsed category - seqno actionflags srcloc dstloc -"
        f" pkts_sent pkts_received session_end_reason {_GROUPS} action_source src_uuid dst_uuid tunnelid monitortag"
        " parent_session_id parent_start_time tunnel assoc_id chunks chunks_sent chunks_received rule_uuid"
        " http2_connection link_change_count policy_id link_switches sdwan_cluster sdwan_device_type"
        f" sdwan_cluster_type sdwan_site dynusergroup_name xff_ip {_DEVICES} container_id pod_namespace pod_name"
        " src_edl dst_edl hostid serialnumber src_dag dst_dag session_owner high_res_timestamp nssai_sst nssai_sd"
        f" {_APP} offloaded flow_type cluster_name"
    ),
    "THREAT": _names(
        f"{_FLOW} misc threatid category severity direction seqno actionflags srcloc dstloc - contenttype pcap_id"
        " filedigest cloud url_idx user_agent filetype xff referer sender subject recipient reportid"
        f" {_GROUPS} - src_uuid dst_uuid http_method tunnelid monitortag parent_session_id parent_start_time tunnel"
        " thr_category contentver - assoc_id ppid http_headers url_category_list rule_uuid http2_connection"
        f" dynusergroup_name xff_ip {_DEVICES} container_id pod_namespace pod_name src_edl dst_edl hostid"
        " serialnumber domain_edl src_dag dst_dag partial_hash high_res_timestamp reason justification nssai_sst"
        f" {_APP} cloud_reportid cluster_name flow_type"
    ),
    "DECRYPTION": _names(
        f"{_FLOW} tunnel - - src_uuid dst_uuid rule_uuid hs_stage_c2f hs_stage_f2s tls_version tls_keyxchg tls_enc"
        " tls_auth policy_name ec_curve err_index root_status chain_status proxy_type cert_serial fingerprint"
        " notbefore notafter cert_ver cert_size cn_len issuer_len rootcn_len sni_len cert_flags cn issuer_cn"
        " root_cn sni error container_id pod_namespace pod_name src_edl dst_edl src_dag dst_dag"
        f" high_res_timestamp {_DEVICES} seqno actionflags {_GROUPS} vsys_id {_APP}"
    ),
    "GTP": _names(
        f"{_FLOW} event_type msisdn apn rat msg_type end_ip_addr teid1 teid2 gtp_interface cause_code severity mcc"
        " mnc area_code cell_id event_code - - srcloc dstloc"
    ),
    "SCTP": _names(_FLOW),
    "START": _TUNNEL,
    "END": _TUNNEL,
    "SYSTEM": _names(
        f"vsys eventid object - - module severity opaque seqno actionflags {_GROUPS} - - high_res_timestamp"
    ),
    "CONFIG": _names(
        f"host vsys cmd admin client result path seqno actionflags {_GROUPS} dg_id comment - high_res_timestamp"
        " full_path"
    ),
    "GLOBALPROTECT": _names(
        "vsys eventid stage auth_method tunnel_type srcuser srcregion machinename public_ip public_ipv6 private_ip"
        " private_ipv6 hostid serialnumber client_ver client_os client_os_ver repeatcnt reason error opaque status"
        " location login_duration connect_method error_code portal seqno actionflags high_res_timestamp"
        f" selection_type response_time priority attempted_gateways gateway {_GROUPS} vsys_id"
    ),
    "AUTHENTICATION": _names(
        "vsys ip user normalize_user object authpolicy repeatcnt authid vendor logset serverprofile desc clienttype"
        f" event factorno seqno actionflags {_GROUPS} vsys_id authproto rule_uuid high_res_timestamp src_category"
        " src_profile src_model src_vendor src_osfamily src_osversion src_host src_mac region - user_agent sessionid"
    ),
    "USERID": _names(
        "vsys ip user datasourcename eventid repeatcnt timeoutthreshold beginport endport datasource datasourcetype"
        f" seqno actionflags {_GROUPS} vsys_id factortype factorcompletiontime factorno ugflags userbysource"
        " tag_name high_res_timestamp"
    ),
    "HIPMATCH": _names(
        f"srcuser vsys machinename os src matchname repeatcnt matchtype - - seqno actionflags {_GROUPS} vsys_id"
        " srcipv6 hostid serialnumber mac high_res_timestamp"
    ),
    "IPTAG": _names(
        "vsys ip tag_name event_id repeatcnt timeout datasourcename datasource_type datasource_subtype seqno"
        f" actionflags {_GROUPS} vsys_id high_res_timestamp"
    ),
    "CORRELATION": _names(
        f"src srcuser vsys category severity {_GROUPS} vsys_id object_name object_id evidence"
    ),
    "AUDIT": _names("-"),
}  # fmt: skip
FIELDS["AUTH"] = FIELDS["AUTHENTICATION"]
FIELDS["TUNNEL"] = _TUNNEL
#: A CONFIG line whose format has the values before and after the change, as administrators may ask for.
CONFIG_WITH_DETAIL = _names(
    "host vsys cmd admin client result path before_change_detail after_change_detail seqno actionflags"
    f" {_GROUPS} dg_id comment - high_res_timestamp full_path"
)

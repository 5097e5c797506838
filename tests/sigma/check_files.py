"""A rule to break, for the tests of checks."""

from __future__ import annotations

from pathlib import Path

from detector.sigma.check.model import Finding
from detector.sigma.check.run import check_content, check_rules

RULE = """\
title: A Service Is Installed
id: 0b0c5b1e-31d2-4a0e-8a3e-1f2d3c4b5a69
status: test
description: Detects a service.
references:
    - https://example.com/a
author: Someone
date: 2026-01-02
tags:
    - attack.persistence
    - attack.t1543.003
logsource:
    product: windows
    category: process_creation
detection:
    selection:
        Image|endswith: '\\sc.exe'
        CommandLine|contains: create
    filter_main_path:
        Image|startswith: 'C:\\Tools\\'
    condition: selection and not 1 of filter_main_*
falsepositives:
    - Administrators
level: medium
"""


def findings(text: str) -> list[Finding]:
    """Return what the checks of single documents find."""
    return check_content(text.encode("utf-8"), "r.yml")[0]


def found(old: str, new: str) -> list[str]:
    """Return what is found after a change of the rule, as it is printed."""
    assert old in RULE
    return [str(each) for each in findings(RULE.replace(old, new))]


def all_findings(tmp_path: Path, text: str) -> list[str]:
    """Return what `detector rules check` finds in a file of its own, with the compiler's problems."""
    path = tmp_path / "r.yml"
    path.write_text(text, encoding="utf-8")
    return [str(each).replace(str(path), "r.yml") for each in check_rules([path]).findings]

"""Which rule is meant by an id, a name, a title or a file, with its document and those of its filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from detector.errors import RuleError
from detector.sigma.filters import apply_filters
from detector.sigma.loader import parse_rule_file, read_rule_file
from detector.sigma.model import CompiledFilter, CompiledRule, Pack, RuleDocument, RuleProblem, SkippedRule
from detector.sigma.pack import default_cache_folder, default_rules_path, load_pack
from detector.sigma.placeholders import Placeholders
from detector.sigma.tuning import Selector, Tuning, names_of, with_level


@dataclass(frozen=True)
class RuleToExplain:
    """A rule as a scan runs it, its document, the documents of its filters by id, and what disables it."""

    rule: CompiledRule
    document: RuleDocument
    filters: Mapping[str, RuleDocument]
    disabled_by: Selector | None = None


def find_rule(reference: str, paths: Sequence[Path], tuning: Tuning) -> RuleToExplain:
    """Find a rule by id, name, title or file name, or at a path, among rules (the project's own if no paths
    are given). Raises RuleError if there is none, more than one, or it is not run.
    """
    given = Path(reference)
    is_file = given.suffix.lower() in (".yml", ".yaml") and given.is_file()
    searched = [given, *paths] if is_file else [*(paths or [default_rules_path()])]
    pack = load_pack(searched, default_cache_folder(), tuning.placeholders)
    rule = _only(reference, _meant(reference, pack, given if is_file else None), pack)
    filtered = apply_filters([with_level(rule, tuning)], tuning.filters).rules[0]
    listed = {each.id: each for each, _ in pack.filters}
    documents = {
        each.id: tuning.documents.get(each.id) or _document(listed[each.id], tuning)
        for each in filtered.filters
    }
    disabled_by = next((each for each in tuning.disabled if each.fits(rule)), None)
    return RuleToExplain(filtered, _document(rule, tuning), documents, disabled_by)


def _meant(reference: str, pack: Pack, file: Path | None) -> list[CompiledRule]:
    if file is not None:
        return [rule for rule in pack.rules if Path(rule.path) == file]
    wanted = reference.strip().lower()
    by_id = [rule for rule in pack.rules if wanted in names_of(rule)]
    by_title = [rule for rule in pack.rules if rule.title.strip().lower() == wanted]
    return by_id or by_title or [rule for rule in pack.rules if Path(rule.path).stem.lower() == wanted]


def _only(reference: str, found: Sequence[CompiledRule], pack: Pack) -> CompiledRule:
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{rule.id} ({rule.path}:{rule.line})" for rule in found[:10])
        raise RuleError(f"{reference!r} is more than one rule; name one by its id: {listed}")
    for one in pack.correlations:
        named = {one.rule.title.lower(), Path(one.rule.path).stem.lower(), one.rule.path.lower()}
        if reference.lower() in names_of(one) | named:
            counted = ", ".join(member.id for member in one.members)
            raise RuleError(f"{one.rule.title!r} is a correlation of rules; explain one of these: {counted}")
    not_run: tuple[SkippedRule | RuleProblem, ...] = (*pack.problems, *pack.skipped)
    for each in not_run:
        if reference.lower() in _names(each):
            if isinstance(each, RuleProblem):
                raise RuleError(str(each))
            raise RuleError(f"{each.path}:{each.line}: this rule is not run: {each.reason}")
    known = {name: name for rule in pack.rules for name in names_of(rule)}
    known |= {rule.title.lower(): rule.title for rule in pack.rules}
    near = [known[name] for name in get_close_matches(reference.lower(), sorted(known), n=3, cutoff=0.7)]
    hint = f"; did you mean {' or '.join(near)}?" if near else "; detector rules list shows all"
    raise RuleError(f"no rule has the id, name or title {reference!r}{hint}")


def _names(each: SkippedRule | RuleProblem) -> set[str]:
    named = [each.rule_id or "", each.name or "", each.title or "", Path(each.path).stem, each.path]
    return {name.lower() for name in named} - {""}


def _document(of: CompiledRule | CompiledFilter, tuning: Tuning) -> RuleDocument:
    """Read a document again; raises RuleError if it is not there any more."""
    content = read_rule_file(Path(of.path))
    if isinstance(content, bytes):
        for found in parse_rule_file(content, of.path):
            if isinstance(found, RuleDocument) and found.line == of.line:
                return replace(found, placeholders=Placeholders(tuning.placeholders))
    raise RuleError(f"{of.path}:{of.line}: the rule is not there any more; run the command again")

"""Random rules, and events near what they look for: case changed, dashes exchanged, one character off.

A generator of its own instead of hypothesis strategies: it makes a thousand rules in the time in which those
make ten, and hypothesis chooses its seed.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

#: What SQL, LIKE, regular expressions, YAML, case folding and encodings trip over.
PIECES = [
    *"aAbBkKsSiI19_%\\*?'\"![]()^$|.+-/;{}~ ",
    *"éÉİıßẞſK\u03a3\u03c2\u03c3あア端ＡａĀ\u00e0",
    *["\n", "\r\n", "\t", "\0", "\x01", "\x0b", "\u2013", "\u2014", "\u2015", "\u2028", "\U0001f3e5"],
    *["powershell", "-enc", "/c", "--", "C:\\Win", "%%1842", "';--", "0x3e7", "cmd.exe", "a\u0301"],
]
FIELDS = ["F", "G", "Threat Name", "a.b", "q\"u'", "端末"]
NETWORKS = ["10.0.0.0/8", "10.1.2.0/24", "0.0.0.0/0", "fe80::/10", "2001:db8::/32", "::1/128", "192.168.1.7"]
ADDRESSES = [
    *[
        "10.1.2.3",
        "10.1.3.3",
        "11.0.0.1",
        "192.168.1.7",
        "fe80::1%4",
        "2001:DB8::7",
        "::1",
        "::ffff:10.1.2.3",
    ],
    *["10.1.2.3.4", "10.1.2", "010.1.2.3", "10.1.2.3 ", "fe80::g", "-", "host"],
]
NUMBERS = [
    "0",
    "5",
    "05",
    "-3",
    "3.5",
    "0x5",
    "0XA",
    "1e3",
    "five",
    "",
    "5 ",
    "9007199254740993",
    "%%1842",
    "５",
]
TIMES = ["2022-10-31T05:06:07Z", "2022-12-31T23:59:59+09:00", "2023-01-01T00:30:00Z", "no time"]
PLACEHOLDERS = {"one": ["aB"], "many": ["k*", "?9", "é", "a\\*"], "per cent": ["100%"]}

TEXT_MODIFIERS = [
    *["", "|contains", "|startswith", "|endswith", "|cased", "|neq", "|contains|all", "|windash", "|all"],
    *["|contains|windash", "|windash|endswith", "|contains|cased", "|startswith|cased|all", "|contains|neq"],
    *["|windash|cased|contains", "|endswith|neq|all"],
]
ENCODED_MODIFIERS = [
    *["|base64", "|base64|contains", "|base64offset|contains", "|wide|base64offset|contains"],
    *[
        "|utf16be|base64|contains",
        "|utf16|base64|startswith",
        "|windash|base64offset|contains",
        "|base64|cased",
    ],
]


def _piece(random: Random) -> str:
    return str(PIECES[random.randrange(len(PIECES))])


def text(random: Random, longest: int = 5) -> str:
    """Return a text of a few pieces."""
    return "".join(_piece(random) for _ in range(random.randint(0, longest)))


def near(random: Random, given: str) -> str:
    """Return a text like another."""
    change = random.randrange(10)
    if change == 0:
        return given.swapcase()
    if change == 1:
        return text(random, 2) + given + text(random, 2)
    if change == 2 and given:
        at = random.randrange(len(given))
        return given[:at] + _piece(random) + given[at + 1 :]
    if change == 3:
        return re.sub("[-/\u2013\u2014\u2015]", lambda _: random.choice("-/\u2013\u2014\u2015"), given)
    if change == 4:
        return given + _piece(random)
    if change == 5:
        return _piece(random) + given
    if change == 6:
        return given.upper()
    if change == 7:
        return given[1:]
    return given


def escaped(given: str) -> str:
    """Return a value of a rule that stands for exactly this text."""
    return re.sub(r"[\\*?]", r"\\\g<0>", given)


def value(random: Random, seeds: list[str]) -> Any:
    """Return a value of a rule, with and without wildcards."""
    kind = random.randrange(12)
    if kind == 0:
        return random.choice([5, 0, -3, 9007199254740993, True, False])
    seed = random.choice(seeds)
    if kind < 4:
        return escaped(seed)
    if kind < 6:
        return seed
    cut = random.randint(0, len(seed))
    wildcard = random.choice(["*", "?", "**", "*?", "\\*", "\\?", "\\\\*"])
    return escaped(seed[:cut]) + wildcard + escaped(seed[cut + random.randint(0, 1) :])


def pattern(random: Random, seeds: list[str], depth: int = 2) -> str:
    """Return a regular expression that Python and PCRE read alike."""
    kind = random.randrange(11) if depth else random.randrange(6)
    if kind < 3:
        return re.escape(random.choice(seeds)[: random.randint(0, 3)])
    if kind < 5:
        single = random.choice(
            [
                *[".", r"\d", r"\w", r"\s", r"\S", r"\W", r"\D", "[a-k]", "[^a]", r"[\\/]", "[]a]"],
                *[r"\x41", r"\n", "[^\\n]", "é", "[あ-ん]", r"\.", "[.*]", r"\u3042", "[K-s]", r"\t"],
            ]
        )
        return single + random.choice(["", "", "*", "+", "?", "{2}", "{1,3}", "*?", "+?", "{,2}", "{2,}"])
    if kind == 5:
        return random.choice(["^", "$", r"\b", r"\B", r"\A", r"\Z", ""])
    inner = [pattern(random, seeds, depth - 1) for _ in range(random.randint(1, 3))]
    if kind < 8:
        return "".join(inner)
    opening = random.choice(["(", "(?:", f"(?P<n{random.randrange(10**6)}>", "(?i:", "(?s:", "(?m:", "(?-i:"])
    return opening + "|".join(inner) + ")" + random.choice(["", "", "?"])


def item(random: Random, seeds: list[str]) -> tuple[str, Any]:
    """Return a field with modifiers, and its value or values."""
    field = random.choice(FIELDS)
    kind = random.randrange(20)
    if kind < 8:
        modifiers = random.choice(TEXT_MODIFIERS)
        listed = [value(random, seeds) for _ in range(random.choice([1, 1, 2, 3, 7]))]
        if "windash" in modifiers:
            listed = [each for each in listed if isinstance(each, str)] or ["-enc"]
        return field + modifiers, listed[0] if len(listed) == 1 and "all" not in modifiers else listed
    if kind < 11:
        flags = random.choice(
            ["", "", "|i", "|m", "|s", "|i|m|s", "|i|startswith", "|endswith", "|contains", "|neq"]
        )
        return f"{field}|re{flags}", pattern(random, seeds)
    if kind < 13:
        return field + random.choice(ENCODED_MODIFIERS), escaped(random.choice(seeds))
    if kind == 13:
        return f"{field}|cidr", random.choice(NETWORKS)
    if kind == 14:
        return f"{field}|{random.choice(['lt', 'lte', 'gt', 'gte'])}", random.choice([0, 5, -3, 3.5, 2**63])
    if kind == 15:
        place = random.choice(
            ["", "|contains", "|startswith", "|endswith", "|neq", "|cased", "|contains|cased"]
        )
        return f"{field}|fieldref{place}", random.choice([*FIELDS, "Nowhere"])
    if kind == 16:
        return f"{field}|exists", random.random() < 0.5
    if kind == 17:
        part = random.choice(["minute", "hour", "day", "week", "month", "year"])
        return f"{field}|{part}{random.choice(['', '|gte', '|lt'])}", random.choice(
            [0, 5, 6, 14, 31, 52, 2022]
        )
    if kind == 18:
        seed = escaped(random.choice(seeds)).replace("%", "\\%")
        placed = f"{seed[:2]}%{random.choice(sorted(PLACEHOLDERS))}%{escaped(random.choice(seeds)[:1])}"
        placed = placed if placed.count("%") - placed.count("\\%") == 2 else "%many%"
        return field + random.choice(
            ["|expand", "|expand|contains", "|contains|expand", "|endswith|expand"]
        ), placed
    return field, random.choice([None, "", "*", "?", ["", None]])


def selection(random: Random, seeds: list[str]) -> Any:
    """Return a map, a list of maps, or keywords."""
    kind = random.randrange(10)
    if kind < 6:
        return dict(item(random, seeds) for _ in range(random.choice([1, 1, 2, 3])))
    if kind < 8:
        return [dict(item(random, seeds) for _ in range(random.choice([1, 2]))) for _ in range(2)]
    words = [escaped(seed) for seed in random.sample(seeds, 2) if seed] or ["evil"]
    if kind == 8:
        return words
    return {random.choice(["|all", "|cased", "|endswith", "|windash|all", "|startswith|cased"]): words}


NAMES = ["sel_a", "sel_b", "nothere", "orchid", "_own"]


def condition(random: Random, depth: int = 3) -> str:
    """Return a condition over the selections of `NAMES`."""
    kind = random.randrange(6) if depth else random.randrange(2)
    if kind == 0:
        return random.choice(NAMES)
    if kind == 1:
        quantifier, of = random.choice(["1", "any", "all"]), ["them", "sel_*", "*", "_*", "*o*", "nothere"]
        return f"{quantifier} of {random.choice(of)}"
    if kind == 2:
        return "not " + condition(random, 0)
    inner = [condition(random, depth - 1) for _ in range(random.randint(2, 3))]
    joined = f" {random.choice(['and', 'or'])} ".join(inner)
    return random.choice([f"({joined})", f"not ({joined})"]) if kind == 5 else joined


def rule(random: Random, seeds: list[str]) -> dict[str, Any]:
    """Return the detection of a rule."""
    if random.random() < 0.6:
        return {"s": selection(random, seeds), "condition": random.choice(["s", "s", "not s"])}
    return {name: selection(random, seeds) for name in NAMES} | {"condition": condition(random)}


def event(random: Random, seeds: list[str]) -> dict[str, Any]:
    """Return an event, near the seeds."""
    from tests.sigma.oracle import base64_near

    found: dict[str, Any] = {}
    for field in FIELDS:
        kind = random.randrange(14)
        if kind < 7:
            found[field] = near(random, random.choice(seeds))
        elif kind < 9:
            found[field] = base64_near(random.choice(seeds), random.randrange(3), random.randrange(4))
        elif kind < 12:
            found[field] = random.choice(random.choice([ADDRESSES, NUMBERS, TIMES]))
    return found


def batch(seed: int, rules: int, events: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return rules, and events near what they look for."""
    random = Random(seed)
    seeds = [text(random) for _ in range(6)]
    return [rule(random, seeds) for _ in range(rules)], [event(random, seeds) for _ in range(events)]

"""What is wrong, or probably wrong, with Sigma rules, for the people who write them.

`detector.sigma.pack` says whether a rule can be run; this package says also what the specification asks for,
what no event can fulfil, and what to write instead. Nothing here is needed for a scan.
"""

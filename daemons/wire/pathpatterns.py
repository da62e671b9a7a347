"""Patterns that rules about paths have: a path with all that is below it, or `*` with the end of a name."""


def why_not(pattern: str) -> str:
    """What is wrong with a pattern, in a sentence; "" if nothing is."""
    if not pattern.startswith(("/", "*")) or "*" in pattern[1:] or "?" in pattern or not pattern.isprintable():
        return f"not a path, nor * with the end of a name: {pattern}"
    return ""


def matches(pattern: str, path: str) -> bool:
    """Does a path come under a pattern?"""
    if pattern.startswith("*"):
        return path.endswith(pattern[1:])
    stem = pattern.rstrip("/")
    return path in (pattern, stem) or path.startswith(f"{stem}/")

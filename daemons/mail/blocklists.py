"""DNS block lists (RFC 5782): is the address of a client on one of them?  A list that does not answer lets all in."""

from daemons.wire import blocklistnames

from .lookups import Unknown

SECONDS = 8.0                   # for all lists together


def listing(lookups, zones, address, trouble):
    """(zone, what it says) of the first list that has this address, or None.

    `trouble(zone, why)` is told of lists that gave no answer, or one that says nothing of the address.
    """
    within = lookups.within(SECONDS)
    for zone in zones:
        name = blocklistnames.name_of(address, zone)
        try:
            answers = within.addresses(name)
            if blocklistnames.is_listed(answers):
                return zone, _words(within, name)
        except Unknown as error:
            trouble(zone, str(error))
            continue
        if blocklistnames.is_trouble(answers):
            trouble(zone, f"it answers {' '.join(sorted(answers)[:4])}: {_words(within, name)}".rstrip(": "))
    return None


def _words(within, name):
    """Its own words, if it has some; what they say is not worth a refusal of their own."""
    try:
        return blocklistnames.words(within.texts(name))
    except Unknown:
        return ""

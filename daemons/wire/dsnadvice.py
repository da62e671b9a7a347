"""What an enhanced status code means to somebody who wrote a mail, and what to do about it (RFC 3463; RFC 5248).

The codes are for programs; these sentences are for people who never heard of SMTP.  Only the last two numbers count:
whether it failed for now or for good is told elsewhere.
"""

ASK = "ask the recipient in another way; they may have to ask those who run their mail"
LATER = "send the mail again later"
ADDRESS = "check the address for typing errors, and send the mail again"
OWN = "check the sender's address in your mail program"
SHOW = "show this to those who run your mail"
OTHER = "send it as plain text, or with other attachments"
POLICY = "ask the recipient in another way whether mail from you is wanted there; what the server said may tell more"

# subject.detail, or subject alone -> (why, what to do)
ADVICE = {
    "1": ("there is something wrong with the address", ADDRESS),
    "1.1": ("nobody has this address", ADDRESS),
    "1.2": ("there is no such domain", ADDRESS),
    "1.3": ("this is not a mail address", ADDRESS),
    "1.6": ("the recipient has moved, and left no new address", ASK),
    "1.7": ("your own address is not one that mail can be sent from", OWN),
    "1.8": ("the domain of your own address does not exist", OWN),
    "1.10": ("this domain takes no mail", ADDRESS),
    "2": ("the mailbox of the recipient does not take it", ASK),
    "2.1": ("the mailbox is closed", ASK),
    "2.2": ("the mailbox is full", "wait until the recipient has made room, and " + LATER),
    "2.3": ("the mail is larger than this mailbox takes", "send it with smaller attachments, or in parts"),
    "3": ("the server of the recipient cannot take it now", LATER),
    "3.1": ("the server of the recipient has no room left", LATER),
    "3.4": ("the mail is larger than this server takes", "send it with smaller attachments, or in parts"),
    "4": ("no server for this address could be reached", "check the address for typing errors, and " + LATER),
    "4.1": ("the server of the recipient does not answer", LATER),
    "4.2": ("the connection to the server of the recipient broke", LATER),
    "4.3": ("names could not be looked up", LATER),
    "4.4": ("no server for this address can be found", ADDRESS),
    "4.6": ("the mail goes in circles", "tell those who run the mail of this address"),
    "4.7": ("it was tried for days, and never taken", "check the address for typing errors, and " + LATER),
    "5": ("the two servers did not understand each other", SHOW),
    "5.3": ("it has too many recipients", "send it to fewer people at a time"),
    "6": ("the server of the recipient cannot handle a mail of this kind", OTHER),
    "6.7": ("the server of the recipient takes ASCII addresses alone", "use another address, in plain letters"),
    "7": ("the server of the recipient refuses it", POLICY),
    "7.1": ("the server of the recipient refuses it", POLICY),
    "7.4": ("it was to be sent in a way that is safe, which this server cannot do", ASK),
    "7.10": ("it was to be sent encrypted, which this server cannot do", ASK),
    "7.20": ("it carries no valid signature (DKIM) of your domain", SHOW),
    "7.23": ("it came from a server that your domain does not send from (SPF)", SHOW),
    "7.25": ("the server it came from has no proper name (reverse DNS)", SHOW),
    "7.26": ("it could not be shown that it is really from your domain", SHOW),
    "7.27": ("your own domain takes no mail", OWN),
    "7.30": ("it was to be encrypted all the way, which this server cannot do (REQUIRETLS)", ASK),
}
UNKNOWN = ("the server of the recipient did not take it", "read what the server said; if that does not help, " + ASK)


def advice(status: str) -> tuple[str, str]:
    """Why, and what to do, for an enhanced status code such as 5.1.1."""
    _, _, rest = status.partition(".")
    return ADVICE.get(rest) or ADVICE.get(rest.partition(".")[0]) or UNKNOWN

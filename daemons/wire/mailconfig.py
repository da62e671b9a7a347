"""Mail client configuration: where mail is fetched and sent, in the formats that mail programs ask for.

    mailconfig / imap=mail.example.org:993 smtp=mail.example.org:465 domain=example.org

Thunderbird and those who follow it read its autoconfig file, version 1.1 (draft-ietf-mailmaint-autoconfig), Outlook
the answer to an Autodiscover request ([MS-OXDSCLI], 2.2), Apple's devices a profile (Configuration Profile Reference,
com.apple.mail.managed).  A port of its own says TLS from the first octet, any other TLS by a command (RFC 8314, 3);
without TLS there is nothing to configure.
"""

from uuid import NAMESPACE_URL, uuid5

from . import guardedxml
from .guardedxml import Name, escaped
from .httpfields import is_token
from .httpstatus import Refused
from .httptarget import authority, decoded

IMPLICIT = frozenset((465, 993, 995))       # ports of TLS from the first octet (RFC 8314, 7)
KINDS = {"imap": 993, "pop3": 995, "smtp": 465}
LOGINS = ("address", "local")
HEADER = '<?xml version="1.0" encoding="UTF-8"?>\n'
APPLE = ('<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">\n')
SCHEMAS = "http://schemas.microsoft.com/exchange/autodiscover/"
OUTLOOK = "outlook/responseschema/2006a"
INVALID, NO_PROVIDER, NO_ADDRESS = 600, 601, 500        # error codes of Autodiscover ([MS-OXDSCLI], 2.2.4.1.1.3.3)
MESSAGES = {INVALID: "Invalid Request", NO_PROVIDER: "Provider is not available",
            NO_ADDRESS: "The email address cannot be found."}
ADDRESS = 254           # octets of an address (RFC 5321, 4.5.3.1.3)
REQUEST = 16384         # octets of an Autodiscover request


class Server:
    """Where one kind of mail server is: `kind` imap, pop3 or smtp; `secure` from the first octet, else by a command."""

    __slots__ = ("host", "kind", "port", "secure")

    def __init__(self, kind: str, host: str, port: int, secure: bool) -> None:
        self.kind, self.host, self.port, self.secure = kind, host, port, secure


class Settings:
    """What a place tells: `servers` in order, `domains` whose mail it is (none: any), `local` if users log in by the
    part of their address before the @."""

    __slots__ = ("domains", "local", "servers")

    def __init__(self, servers: list[Server], domains: tuple[str, ...], local: bool) -> None:
        self.servers, self.domains, self.local = servers, domains, local

    def incoming(self) -> list[Server]:
        """Where mail is fetched; the first is to be preferred."""
        return [one for one in self.servers if one.kind != "smtp"]

    def knows(self, address: str) -> bool:
        """Is it one of our domains' addresses?"""
        return not self.domains or address.rpartition("@")[2].lower() in self.domains

    def login(self, address: str) -> str:
        """The name with which the user of an address logs in."""
        return address.rpartition("@")[0] if self.local else address


def parse(text: str) -> Settings:
    """What a line of the file of sites says behind the path; raises ValueError."""
    servers: list[Server] = []
    domains: tuple[str, ...] = ()
    local = False
    for word in text.split():
        name, _, value = word.partition("=")
        if name in KINDS:
            servers.append(_server(name, value))
        elif name == "domain" and value:
            domains = tuple(_host(one) for one in value.split(","))
        elif name == "login" and value in LOGINS:
            local = value == "local"
        else:
            raise ValueError(f"not imap=, pop3= or smtp=HOST:PORT, domain=NAME nor login=address|local: {word}")
    kinds = {one.kind for one in servers}
    if "smtp" not in kinds or len(kinds) < 2:
        raise ValueError("needs smtp=HOST:PORT, and imap= or pop3=")
    return Settings(servers, domains, local)


def _server(kind: str, value: str) -> Server:
    where, slash, how = value.partition("/")
    try:
        host, port = authority(where)
    except Refused:
        host, port = "", None
    if not host or (slash and how not in ("tls", "starttls")):
        raise ValueError(f"not HOST:PORT, with /tls or /starttls behind an unusual port: {value}")
    port = port or KINDS[kind]
    return Server(kind, host, port, how == "tls" if slash else port in IMPLICIT)


def _host(name: str) -> str:
    try:
        host, port = authority(name)
    except Refused:
        host, port = "", None
    if not host or port is not None:
        raise ValueError(f"not a domain: {name}")
    return host


def email(text: str) -> str:
    """An address, or "" for what can be none: a local part without quotes, and a domain (RFC 5321, 4.1.2; RFC 6531)."""
    local, at, domain = text.strip().rpartition("@")
    try:
        size = len(text.encode("utf-8"))
        domain = _host(domain.encode("idna").decode("ascii"))
    except (ValueError, UnicodeError):
        return ""
    parts = local.split(".")
    good = all(part and all(not sign.isascii() or is_token(sign) or sign in "/={}?" for sign in part)
               and part.isprintable() for part in parts)
    return f"{local}@{domain}" if at and good and size <= ADDRESS else ""


def parameter(query: str, *names: str) -> str:
    """The first of these parameters in a query; a plus is itself, as in addresses.  Raises Refused."""
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name.lower() in names:
            return decoded(value.encode("ascii", "replace")).decode("utf-8", "replace")
    return ""


# -- Thunderbird --


def autoconfig(settings: Settings, domain: str) -> bytes:
    """The autoconfig file for a domain, in which the program itself puts the address."""
    user = "%EMAILLOCALPART%" if settings.local else "%EMAILADDRESS%"
    domains = settings.domains or (domain,)
    lines = ["<clientConfig version=\"1.1\">", f"  <emailProvider id=\"{escaped(domains[0])}\">",
             *(f"    {_element('domain', one)}" for one in domains),
             f"    {_element('displayName', domains[0])}", f"    {_element('displayShortName', domains[0])}"]
    for one in (*settings.incoming(), *(one for one in settings.servers if one.kind == "smtp")):
        side = "outgoingServer" if one.kind == "smtp" else "incomingServer"
        lines += [f"    <{side} type=\"{one.kind}\">", f"      {_element('hostname', one.host)}",
                  f"      {_element('port', str(one.port))}",
                  f"      {_element('socketType', 'SSL' if one.secure else 'STARTTLS')}",
                  f"      {_element('authentication', 'password-cleartext')}", f"      {_element('username', user)}",
                  f"    </{side}>"]
    return _document([*lines, "  </emailProvider>", "</clientConfig>"])


# -- Outlook --


class Asked:
    """An Autodiscover request: whose settings (`email`, as it came), and in which `schema` the answer shall be."""

    __slots__ = ("email", "schema")

    def __init__(self, email: str, schema: str) -> None:
        self.email, self.schema = email, schema


def autodiscover_request(data: bytes) -> Asked:
    """What an Autodiscover request asks for ([MS-OXDSCLI], 2.2.3); raises ValueError for what is none."""
    inside: list[str] = []
    found: dict[str, str] = {}

    def begin(name: Name) -> None:
        inside.append(name[1])

    def end(_: Name) -> None:
        inside.pop()

    def text(piece: str) -> None:
        if len(inside) == 3 and inside[:2] == ["Autodiscover", "Request"]:
            found[inside[2]] = found.get(inside[2], "") + piece

    if len(data) > REQUEST:
        raise ValueError(f"more than {REQUEST} octets")
    guardedxml.read(data, begin, end, text)
    if "EMailAddress" not in found:
        raise ValueError("no address in it")
    return Asked(found["EMailAddress"].strip(), found.get("AcceptableResponseSchema", "").strip())


def autodiscover(settings: Settings, address: str) -> bytes:
    """The answer to an Autodiscover request for an address ([MS-OXDSCLI], 2.2.4)."""
    lines = [f"<Autodiscover xmlns=\"{SCHEMAS}responseschema/2006\">", f"  <Response xmlns=\"{SCHEMAS}{OUTLOOK}\">",
             f"    <User>{_element('DisplayName', address)}</User>", "    <Account>",
             "      <AccountType>email</AccountType>", "      <Action>settings</Action>"]
    for one in settings.servers:
        lines += ["      <Protocol>", f"        <Type>{one.kind.upper()}</Type>",
                  f"        {_element('Server', one.host)}", f"        <Port>{one.port}</Port>",
                  "        <DomainRequired>off</DomainRequired>",
                  f"        {_element('LoginName', settings.login(address))}", "        <SPA>off</SPA>",
                  # the older element knows TLS from the first octet alone, the newer overrides it
                  f"        <SSL>{'on' if one.secure else 'off'}</SSL>",
                  f"        <Encryption>{'SSL' if one.secure else 'TLS'}</Encryption>",
                  "        <AuthRequired>on</AuthRequired>"]
        if one.kind == "smtp":
            lines += ["        <UsePOPAuth>off</UsePOPAuth>", "        <SMTPLast>off</SMTPLast>"]
        lines.append("      </Protocol>")
    return _document([*lines, "    </Account>", "  </Response>", "</Autodiscover>"])


def autodiscover_error(code: int, clock: str) -> bytes:
    """An error that Outlook understands; `clock` is the time of the day as hh:mm:ss."""
    return _document([f"<Autodiscover xmlns=\"{SCHEMAS}responseschema/2006\">", "  <Response>",
                      f"    <Error Time=\"{escaped(clock)}.0000000\" Id=\"0\">",
                      f"      <ErrorCode>{code}</ErrorCode>", f"      <Message>{MESSAGES[code]}</Message>",
                      "      <DebugData />", "    </Error>", "  </Response>", "</Autodiscover>"])


# -- Apple --


def profile(settings: Settings, address: str) -> bytes:
    """The profile for an address, unsigned: its user is asked for the password, and may take it away again."""
    where, send = settings.incoming()[0], next(one for one in settings.servers if one.kind == "smtp")
    login, domain = settings.login(address), address.rpartition("@")[2]
    name = ".".join(reversed(domain.split(".")))

    def identity(of: str) -> dict[str, object]:
        """The same for the same address, so that a second profile replaces the first."""
        return {"PayloadIdentifier": f"{name}.mail{of}", "PayloadVersion": 1,
                "PayloadUUID": str(uuid5(NAMESPACE_URL, f"mailto:{address}{of}")).upper()}

    account = {
        "PayloadType": "com.apple.mail.managed", "PayloadDisplayName": address, **identity(".account"),
        "EmailAccountDescription": domain, "EmailAddress": address,
        "EmailAccountType": "EmailTypeIMAP" if where.kind == "imap" else "EmailTypePOP",
        "IncomingMailServerAuthentication": "EmailAuthPassword", "IncomingMailServerHostName": where.host,
        "IncomingMailServerPortNumber": where.port, "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": login,
        "OutgoingMailServerAuthentication": "EmailAuthPassword", "OutgoingMailServerHostName": send.host,
        "OutgoingMailServerPortNumber": send.port, "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": login, "OutgoingPasswordSameAsIncomingPassword": True}
    whole = {"PayloadType": "Configuration", "PayloadDisplayName": f"Mail for {address}",
             "PayloadDescription": f"Fetches and sends the mail of {address}.", "PayloadOrganization": domain,
             **identity(""), "PayloadRemovalDisallowed": False, "PayloadContent": [account]}
    return (HEADER + APPLE + f'<plist version="1.0">\n{_plist(whole)}\n</plist>\n').encode()


def _plist(value: object) -> str:
    """A value as property lists have it."""
    if isinstance(value, bool):
        return f"<{str(value).lower()}/>"
    if isinstance(value, int):
        return f"<integer>{value}</integer>"
    if isinstance(value, list):
        return f"<array>\n{''.join(_plist(one) for one in value)}\n</array>"
    if isinstance(value, dict):
        pairs = (f"{_element('key', name)}{_plist(one)}\n" for name, one in value.items())
        return f"<dict>\n{''.join(pairs)}</dict>"
    return _element("string", str(value))


def _document(lines: list[str]) -> bytes:
    return (HEADER + "\n".join(lines) + "\n").encode()


def _element(name: str, text: str) -> str:
    return f"<{name}>{escaped(text)}</{name}>"


"""The manual page fd0-mail(7): a mail server of one's own, step by step; a test types every command of it."""

NAME, ABOUT = "fd0-mail", "a mail server with fd0, in the place of Postfix and Dovecot's POP3"
SEE = ("fd0(1)", "fd0-smtpd(8)", "fd0-pop3d(8)", "fd0-mailq(8)", "fd0.conf(5)", "swaks(1)")
TEXT = """
Three programs make a mail server: smtpd takes mail, from other servers and from those who log in; mailq delivers what
is not for a mailbox here; pop3d lets users fetch what is. They share a database of accounts, /var/lib/fd0/accounts.db,
Maildirs below /var/lib/fd0/mail, and the queue in /var/spool/fd0. All run as the user fd0, and none of them has to be
root. Accounts are of the database alone: users of the machine are nobody to them.

To see it work before anything is changed, type fd0 up mail as anybody: it makes a folder with all of this, an account
in it, and servers at ports above 1023, and says what to type next.

The steps below are for a machine whose name is mx.example.org, with mail for example.org, under systemd. They are to
be done as root, in this order. Under xinetd or inetd, smtpd and pop3d are put in place with --with=xinetd or
--with=inetd, one port each, and mailq by whatever starts programs with the machine, as a line @reboot
/usr/local/lib/fd0/mailq in the crontab of the user fd0.

# 1. NAMES

The zone of example.org needs these records, and whoever rents out the address 192.0.2.25 has to let it lead back to
mx.example.org, or many servers will take no mail from it:

    example.org.         MX   10 mx.example.org.
    mx.example.org.      A    192.0.2.25
    example.org.         TXT  "v=spf1 mx -all"
    _dmarc.example.org.  TXT  "v=DMARC1; p=quarantine; rua=mailto:postmaster@example.org"

The record of the key with which mail is signed (DKIM) is printed by

    fd0 dkim example.org mail2030

Put the line that it shows last into /etc/fd0/dkim.keys:

    echo example.org mail2030 /etc/fd0/dkim/example.org.mail2030.key >> /etc/fd0/dkim.keys

It needs the package python3-dkim, as do lookups of SPF python3-spf, and mailq python3-dnspython.

# 2. A CERTIFICATE

Clients of users want one that they know. A request for an authority, or one from the machine's own authority to begin
with, is made by the first or the second of these:

    fd0 cert --request mx.example.org
    fd0 cert mx.example.org --force

Where an ACME client keeps certificates, have it copy them when it renews them, for keys there are root's alone: fd0
takes up new files without a restart.

    install -o fd0 -m 600 privkey.pem /etc/fd0/tls/mx.example.org.key
    install -m 644 fullchain.pem /etc/fd0/tls/mx.example.org.pem

# 3. ACCOUNTS

Each asks for a password, twice. Mail for the domain is taken from the first account on.

    fd0 user add ann@example.org
    fd0 user add bob@example.org --octets=2G
    fd0 user alias add info@example.org ann@example.org bob@example.org
    fd0 user alias add postmaster@example.org ann@example.org

The aliases of the old server, and its users with the hashes of their passwords, need not be typed. Aliases that lead
to programs or files have no counterpart. The second file has lines of NAME@DOMAIN:HASH, as Dovecot's passwd-file has
and /etc/shadow once a domain is added; clear passwords stand behind a tab.

    fd0 user alias import /etc/aliases example.org
    fd0 user import /root/dovecot.passwd

Their mail, as long as it lies in Maildirs, is copied while neither server delivers. pop3d goes on with the unique ids
of Dovecot where dovecot-uidlist lies in the Maildir, so that clients fetch nothing twice: those that are saved there,
and for all other mails those of the default pop3_uidl_format. Where Dovecot has another format, set
pop3_save_uidl = yes there first, and wait until each client has come by.

    install -d -o fd0 -g fd0 -m 700 /var/lib/fd0/mail/example.org
    cp -a /home/ann/Maildir /var/lib/fd0/mail/example.org/ann
    chown -R fd0:fd0 /var/lib/fd0/mail/example.org/ann

# 4. TAKING MAIL

Port 25 is for other servers, 587 (STARTTLS) and 465 (TLS from the first octet) for users, who have to log in there.
Whoever else listens at these ports has to end first. Programs of this machine may send mail elsewhere.

    fd0 enable smtpd --with=systemd --listen=:25 --listen=:587 --listen=:465 \\
        --set hostname=mx.example.org --set relay-from=127.0.0.1,::1 \\
        --set tls-cert=/etc/fd0/tls/mx.example.org.pem --set tls-key=/etc/fd0/tls/mx.example.org.key \\
        --set dkim-keys=/etc/fd0/dkim.keys

Against unwanted mail there are, among others, --set spf=mark, --set dmarc=refuse, --set greylist=/var/lib/fd0/greylist
and --set greet-delay=5s. Filters that speak the milter protocol look at each mail: --set milters=127.0.0.1:11332 is
where rspamd listens, and --set milters=unix:/run/clamav/clamav-milter.ctl is clamav-milter's usual place. A password
that was stolen is worth less with --set user-rate=200, the recipients to whom one user may write in an hour.

# 5. DELIVERING IT

    fd0 enable mailq --with=systemd --set hostname=mx.example.org

A smarthost, to which all mail for elsewhere goes, is told by --set smarthost=relay.example.net:587, with --set
smarthost-user=NAME and --set smarthost-password=FILE where it wants a login. With --set mta-sts=yes, and with --set
dane=yes where a resolver on this machine validates DNSSEC, mail goes to no server that only pretends to be the one of
its domain. To have other options later, change /etc/fd0/mailq.conf and

    systemctl restart fd0-mailq

Local programs hand in mail by /usr/sbin/sendmail, or speak SMTP to /usr/sbin/sendmail -bs. It writes into the queue
if it may, and else talks to port 25.

    ln -sf $(command -v fd0) /usr/sbin/sendmail

# 6. FETCHING IT

    fd0 enable pop3d --with=systemd --listen=:110 --listen=:995 \\
        --set tls-cert=/etc/fd0/tls/mx.example.org.pem --set tls-key=/etc/fd0/tls/mx.example.org.key

Passwords are taken under TLS only: at port 995, or at port 110 after STLS. A program that can do no better than
send its password can have one of its own, which is good for that one thing:

    fd0 user app add ann@example.org phone --scope=pop3

# 7. DOES IT WORK?

A mail from elsewhere, one from a user, and what came of them; PASSWORD is ann's:

    swaks --server mx.example.org --from eve@example.net --to ann@example.org
    swaks --server mx.example.org:587 -tls --auth PLAIN --auth-user ann@example.org --auth-password PASSWORD \\
        --from ann@example.org --to bob@example.org
    curl --ssl-reqd --cacert /etc/fd0/tls/authority.pem pop3://mx.example.org/1 --user ann@example.org:PASSWORD

That nobody can use the server to send mail elsewhere is seen if this, typed on another machine, is refused with 550:

    swaks --server mx.example.org --from eve@example.net --to eve@example.com

# 8. LOOKING AFTER IT

What waits to be delivered and why, what was delivered and refused, who is here and whose logins fail:

    fd0 queue list
    fd0 queue explain --all
    journalctl -t smtpd -t mailq -t pop3d --since today
    fd0 limits
    systemctl reload fd0-mailq

A copy of the database is made by SQLite itself, as the servers go on; Maildirs and the queue can be copied as they
are, since each file in them is whole once it is there.

    cd /var/lib/fd0 && runuser -u fd0 -- python3 -c \\
        'import sqlite3 as s; s.connect("accounts.db").backup(s.connect("accounts.backup"))'
    tar -czf /root/mail.tar.gz '--exclude=accounts.db*' -C / etc/fd0 var/lib/fd0 var/spool/fd0

To go back to the old server:

    fd0 disable smtpd pop3d mailq
"""

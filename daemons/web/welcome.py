"""The page of a server that has been told nothing yet: it works, and what to tell it."""

from daemons.wire.pagestyle import page

from .exchange import PAGE

TEXT = """<main class="notice">
<h1>It works</h1>
<p>This is httpd of fd0, and nothing is served here yet.</p>
<p>To try it with a folder of your own:</p>
<pre>fd0 up httpd --root=. --listing=yes</pre>
<p>On a server, put <code>root = /srv/www</code> into <code>/etc/fd0/httpd.conf</code>.
The manual, <code>man fd0-httpd</code>, tells the rest.</p>
</main>"""


def welcome(exchange):
    """Say so."""
    exchange.reply(200, [*PAGE, ("Cache-Control", "no-store")], page("It works", TEXT))

"""The log of requests in a file, in one of the formats that readers of web logs know."""

from daemons.stores.weblog import WebLog
from daemons.wire import weblogline


class AccessLog:
    """Writes a line for each exchange; raises OSError where the file cannot be opened."""

    def __init__(self, path, form):
        self.file, self.combined = WebLog(path), form == "combined"

    def written(self, exchange):
        """Write the line of a request that was answered."""
        request, stream = exchange.request, exchange.stream
        if not stream.session:
            return                      # a rehearsal
        now = stream.time()
        line = request.line.decode("latin-1") if request is not None else None
        given = (exchange.client or "-", None, exchange.user or None, now, self.file.offset(now), line,
                 exchange.status, exchange.sent)
        if self.combined:
            fields = request.fields if request is not None else {}
            text = weblogline.combined(*given, fields.get("referer"), fields.get("user-agent"))
        else:
            text = weblogline.common(*given)
        try:
            self.file.write(text)
        except OSError as error:
            stream.log("unlogged", text=f"{self.file.path}: {error.strerror}")

"""Why a caller is turned away, in xinetd's words: what can be told at once, and what takes time to find out."""

import os
import time

from .accesstimes import now, within
from .addresses import Address
from .ports import Plan, Port
from .sensor import ShutOut

ADDRESS, LIBWRAP = "address", "libwrap"
LIMITS = "service_limit", "per_source_limit", "process_limit"


class Doors:
    """What holds for all services: who is shut out of them, and how many servers there may be in all."""

    def __init__(self, limit: int | None) -> None:
        self.shut_out, self.limit, self.total = ShutOut(), limit, 0

    def closed(self, plan: Plan) -> str:
        """Why nobody at all is let in now."""
        if plan.max_load and os.getloadavg()[0] >= plan.max_load:
            return "load"
        if plan.hours and not within(plan.hours, now(time.time())):
            return "time"
        return LIMITS[2] if self.limit is not None and self.total >= self.limit else ""

    def why_not(self, port: Port, peer: Address) -> str:
        """Why this caller is turned away, or nothing; who may come by name is asked later."""
        plan = port.plan
        why = self.closed(plan)
        if why:
            return why
        if plan.instances is not None and len(port.running) >= plan.instances:
            return LIMITS[0]
        if plan.per_source is not None and port.from_source(peer) >= plan.per_source:
            return LIMITS[1]
        if self.shut_out.holds(peer):
            return "shut_out"
        return ADDRESS if not plan.needs_names and plan.denies(peer) else ""


def why_not_in_time(plan: Plan, peer: Address, local: Address) -> tuple[str, str]:
    """Why this caller is turned away, or "", found out in his own process; and who he says he is, if that was asked."""
    if plan.needs_names and plan.denies(peer):
        return ADDRESS, ""
    why = next((why for check in plan.checks if check.needed() and (why := check.why_not(peer, local))), "")
    if why or not plan.asks_user or plan.identify is None:
        return why, ""
    user = plan.identify(peer, local)
    return ("no_id" if plan.identified and not user else ""), user

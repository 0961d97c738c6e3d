"""/reports: numbers for those who oversee, as JSON or as CSV."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from handlers import schemas
from handlers.api.selection import read_span
from handlers.http.routing import Answer, Call, Route
from rdchat.common.clock import iso
from rdchat.domain import permissions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rdchat.domain.report import OrganizationReport, Tally

_CSV: Final = "text/csv"
#: Programs for tables take a cell that begins like this for a formula. No number of ours does.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001 - the wide ones as well
_IN_ALL: Final = "Total"


async def get_report(call: Call) -> Answer | web.Response:
    """Count what became of the counsellings that start within a span: in all, and by psychologist.

    Numbers of few people tell about single ones: they are for those who may see the lists as well.
    """
    since, until = read_span(call.query)
    if since is None or until is None:  # pragma: no cover - the schema requires both
        raise ValueError(call.query)
    report = await call.runtime.oversight.make_report(
        call.caller, call.query["organization_id"], since, until
    )
    form = call.query["format"] or ("csv" if _prefers_csv(call.headers.get("Accept", "")) else "json")
    if form == "json":
        return Answer(_report_json(report), "Report made successfully")
    # The days that were asked for, not the instants at which these begin and end: in UTC they are others.
    first, last = (call.query[name].isoformat()[:10] for name in ("since", "until"))
    return web.Response(
        text=_report_csv(report),
        content_type=_CSV,
        charset="utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="report-{first}-{last}.csv"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )


def _prefers_csv(accept: str) -> bool:
    """Tell whether a header names CSV, and ranks JSON no higher."""
    weights: dict[str, float] = {}
    for part in accept.split(","):
        media, *parameters = (one.strip().lower() for one in part.split(";"))
        quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
        try:
            weights[media] = float(quality)
        except ValueError:
            weights[media] = 0.0
    wanted = weights.get(_CSV, 0.0)
    return wanted > 0 and wanted >= weights.get("application/json", 0.0)


def _report_json(report: OrganizationReport) -> dict[str, Any]:
    return {
        "from": iso(report.since),
        "to": iso(report.until),
        "organizationId": str(report.organization_id) if report.organization_id is not None else None,
        **_tally_json(report.total),
        "psychologists": [
            {
                "psychologist": {"id": str(one.psychologist_id), "fullName": one.full_name},
                **_tally_json(one.tally),
            }
            for one in report.psychologists
        ],
    }


def _tally_json(tally: Tally) -> dict[str, Any]:
    return {
        "booked": tally.booked,
        "held": tally.held,
        "presumed": tally.presumed,
        "noShows": {
            "clientAbsent": tally.client_absent,
            "psychologistAbsent": tally.psychologist_absent,
            "nobodyCame": tally.nobody_came,
        },
        "missed": tally.missed,
        "cancelled": {
            "byClient": tally.cancelled_by_client,
            "byPsychologist": tally.cancelled_by_psychologist,
            "byAdministrator": tally.cancelled_by_administrator,
            "byUnknown": tally.cancelled_by_unknown,
        },
        "ahead": tally.ahead,
        "underWay": tally.under_way,
        "minutes": tally.minutes,
        "medianWaitMinutes": (
            round(tally.median_wait.total_seconds() / 60, 1) if tally.median_wait is not None else None
        ),
    }


def _report_csv(report: OrganizationReport) -> str:
    """Write a table: all of them in its first row, then a row for each psychologist."""
    written = io.StringIO()
    table = csv.writer(written)
    total = dict(_flat(_tally_json(report.total)))
    table.writerow(["psychologistId", "psychologist", *total])
    table.writerow(["", _IN_ALL, *total.values()])
    for one in report.psychologists:
        numbers = dict(_flat(_tally_json(one.tally)))
        table.writerow([str(one.psychologist_id), as_text_cell(one.full_name), *numbers.values()])
    return written.getvalue()


def _flat(shown: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Name the numbers within numbers by both names: `cancelled.byClient`."""
    for name, value in shown.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


def as_text_cell(text: str) -> str:
    """Make a cell that is shown as it is, also where a program for tables would take it for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


ROUTES = (
    Route(
        method="GET",
        path="/reports/organization",
        handler=get_report,
        summary="Count what became of counsellings",
        tag="Reports",
        done="The numbers; as CSV, without an envelope.",
        message="Report made successfully",
        roles=permissions.OVERSEERS,
        query=schemas.ReportQuery,
        data=schemas.ReportAnswer,
        bare=(_CSV,),
    ),
)

"""What the data doctor found, as HTML for the Train tab."""

from html import escape
from typing import TYPE_CHECKING

import gradio as gr

from genrestore.ui.words import Words
from genrestore.ui.words.sentences import translated

if TYPE_CHECKING:
    from genrestore.data.checks import Report

SHOWN = 5  # names of flawed files
CLASSES = 12  # that are named

W = Words("findings")


def html(report: "Report", request: gr.Request | None) -> str:
    """The report. Names of files and classes are a stranger's text."""
    parts = [_verdict(report, request), *_sizes(report, request), _facts(report, request), _findings(report, request)]
    return f"<div class='report'>{''.join(parts)}</div>"


def kinds(report: "Report", request: gr.Request | None) -> list[tuple[str, str]]:
    """(what is shown, kind) of the flaws that were found."""
    return [(f"{W.text(found.kind, request)} ({len(found.files):,})", found.kind) for found in report.findings]


def _verdict(report: "Report", request: gr.Request | None) -> str:
    level = "problem" if report.problem else "few" if report.count < report.enough else "ready"
    text = translated(report.problem, request) or W.text(level, request, enough=f"{report.enough:,}")
    counted = W.text("pictures", request, count=f"{report.count:,}")
    return f"<div class='verdict {level}'><b>{escape(report.name)}: {counted}</b>{escape(text)}</div>"


def _sizes(report: "Report", request: gr.Request | None) -> list[str]:
    most = max((count for _, count in report.sizes), default=0)
    if not most:
        return []
    bars = "".join(
        f"<span>{escape(label)}</span><i style='width: {100 * count / most:.1f}%'></i><b>{count:,}</b>"
        for label, count in report.sizes
    )
    return [f"<div><h3>{W.text('sizes', request)}</h3><div class='bars'>{bars}</div></div>"]


def _facts(report: "Report", request: gr.Request | None) -> str:
    facts = {"modes": _counts(report.modes, request), "classes": _counts(report.classes, request)}
    if report.captions:
        facts["captions"] = f"{report.captions:,}"
    rows = (f"<div><dt>{W.text(key, request)}</dt><dd>{text}</dd></div>" for key, text in facts.items() if text)
    return f"<dl>{''.join(rows)}</dl>"


def _counts(table: dict[str, int], request: gr.Request | None) -> str:
    named = ", ".join(f"{escape(name)}: {count:,}" for name, count in list(table.items())[:CLASSES])
    return named + (" " + W.text("more", request, n=f"{len(table) - CLASSES:,}") if len(table) > CLASSES else "")


def _findings(report: "Report", request: gr.Request | None) -> str:
    if not report.findings:
        return f"<p>{W.text('flawless', request)}</p>"
    rows: list[str] = []
    for found in report.findings:
        names = ", ".join(map(escape, found.files[:SHOWN]))
        if len(found.files) > SHOWN:
            names += " " + W.text("more", request, n=f"{len(found.files) - SHOWN:,}")
        head = f"{W.text(found.kind, request)}: {len(found.files):,}"
        rows.append(f"<li><b>{head}</b> {escape(translated(found.why, request))}<span>{names}</span></li>")
    return f"<ul>{''.join(rows)}</ul>"

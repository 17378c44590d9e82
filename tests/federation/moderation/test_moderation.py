"""Reports reach the space and the moderators; changes are looked at; spaces are hidden."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from federation import jobs as hub_jobs
from federation.audit.models import AuditEntry
from federation.context import hub as hub_context
from federation.db import db as hub_db
from federation.identity.service import accounts
from federation.mail.models import Mail
from federation.moderation import changes, forms, hiding, reports
from federation.moderation.models import Change, Report
from node import jobs as node_jobs
from node.spaces import service as spaces
from shared.base.mail_server import mail_server
from shared.store.db import begin_write
from shared.wire.problems import Problem
from tests.network import PASSWORD, LocalNode, Network, at_once
from tests.shared.browser import Browser, Page, forget_attempts

GOOD = {"kind": "hours", "words": "Closed on Mondays, the page says open. <b>"}


@pytest.fixture(scope="module")
def network(lasting_network: Network, tmp_path_factory: Any) -> Network:
    """With a mail server, a space that says how to write to it, a moderator and a reader."""
    found = lasting_network
    context = found.hub.app.extensions["hub"]
    url = mail_server(f"file://{tmp_path_factory.mktemp('mail')}")
    settings = replace(context.settings, smtp_url=url, mail_from="a@hub.example")
    found.hub.app.extensions["hub"] = replace(context, settings=settings)
    publish(found.nodes["cordee"], email="hello@cordee.example")
    with found.hub.app.app_context():
        session, now = hub_db.session(), hub_context().clock.now()
        begin_write(session)
        for role in ("moderator", "reader"):
            email = f"{role}@hub.example"
            accounts.create(session, now, email=email, name=role, password=PASSWORD, roles=[role])
        session.commit()
    return found


@pytest.fixture(autouse=True)
def _at_ease(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms may be sent at once, and each test begins without reports and changes."""
    forget_attempts()
    monkeypatch.setattr(forms, "LEAST_SECONDS", 0)
    with inside(network) as session:
        begin_write(session)
        for table in (Report, Change, Mail):
            session.execute(delete(table))
        session.commit()


@contextmanager
def inside(network: Network) -> Iterator[Any]:
    with network.hub.app.app_context():
        yield hub_db.session()


def publish(node: LocalNode, **values: Any) -> None:
    with node.context() as (session, context):
        spaces.save(session, context, node.id, values)
        spaces.publish_now(session, context)


def send(network: Network, space: str = "cordee", **form: Any) -> Any:
    """Open the form and send it, as a browser does."""
    reader = Browser(network.hub)
    path = f"/spaces/{space}/report"
    answer = reader.get(path)
    assert answer.status_code == 200, answer.text
    stamp = Page(answer.text).values["stamp"]
    return reader.post(path, {**GOOD, "stamp": stamp, **form})


def every(network: Network, table: Any = Report) -> list[Any]:
    with inside(network) as session:
        return list(session.scalars(select(table).order_by(table.id)))


def mails(network: Network) -> dict[str, Mail]:
    return {mail.key.rpartition(":")[2]: mail for mail in every(network, Mail)}


def as_(network: Network, role: str) -> Browser:
    found = Browser(network.hub)
    email = {"coordinator": "coord"}.get(role, role)
    assert found.log_in(f"{email}@hub.example").status_code == 302
    return found


# The report


def test_a_report_reaches_the_space_and_the_moderators_is_answered_and_closed(  # noqa: PLR0915 - one story
    network: Network,
) -> None:
    cordee = network.nodes["cordee"]
    answer = send(network, email="ada@example.org")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/spaces/cordee/report?sent=1")
    assert "your report is on its way" in Browser(network.hub).get(answer.headers["Location"]).text
    (report,) = every(network)
    to_space = mails(network)["space"]
    assert to_space.to == "hello@cordee.example"
    assert "> Closed on Mondays" in to_space.text
    assert "ada@example.org" not in to_space.text
    desk = as_(network, "moderator").get("/coordination/moderation").text
    assert "Closed on Mondays, the page says open. &lt;b&gt;" in desk
    assert "the space has not answered yet" in desk

    with cordee.app.app_context():
        node_jobs.ask_for_reports()
        node_jobs.ask_for_reports()  # told twice, it is one
    admin = Browser(cordee)
    admin.log_in("admin@cordee.example")
    assert "1 report about your pages" in admin.get("/console").text
    page = admin.get("/console/reports")
    assert page.text.count("Closed on Mondays") == 1
    assert "ada@example.org" not in page.text
    path = f"/console/reports/{report.id}/answer"
    assert admin.post(path, outcome="not_an_error").status_code == 302  # without a word: not sent
    assert every(network)[0].answer is None
    for _ in range(2):  # the button pressed twice
        said = admin.post(path, outcome="corrected", words="Thank you!")
        assert said.status_code == 302
    assert "answered" in admin.get("/console/reports").text
    row = every(network)[0]
    assert (row.answer, row.answer_words) == ("corrected", "Thank you!")
    to_reporter = mails(network)["answered"]
    assert to_reporter.to == "ada@example.org"
    assert "> Thank you!" in to_reporter.text
    assert admin.post(path, outcome="not_an_error", words="No!").status_code == 302
    assert every(network)[0].answer == "corrected"

    moderator = as_(network, "moderator")
    moderator.get("/coordination/moderation")
    closing = f"/coordination/moderation/reports/{report.id}/close"
    assert moderator.post(closing, words="Settled with the space.").status_code == 302
    row = every(network)[0]
    assert row.closed_at is not None
    assert row.email is None
    assert mails(network)["closed"].to == "ada@example.org"
    assert len(mails(network)) == 3
    assert "Settled with the space." not in moderator.get("/coordination/moderation").text
    assert (
        "Settled with the space." in moderator.get("/coordination/moderation?reports=closed").text
    )
    with inside(network) as session:
        lines = session.scalars(select(AuditEntry).where(AuditEntry.subject == report.id)).all()
        assert [(line.action, line.detail["after"]) for line in lines] == [
            ("report-answered", "corrected"),
            ("report-closed", "closed"),
        ]
        assert lines[0].actor == "node:cordee"
    with cordee.app.app_context():
        node_jobs.ask_for_reports()
    assert "Settled with the space." in admin.get("/console/reports").text
    assert "report about your pages" not in admin.get("/console").text


def test_a_form_that_is_not_right_is_given_back_and_nothing_is_taken(network: Network) -> None:
    for form, words in (
        ({"kind": ""}, "Choose what is wrong."),
        ({"kind": "nonsense"}, "Not a valid choice"),
        ({"words": "   "}, "Write a few words"),
        ({"words": "x" * 2001}, "2000"),
        ({"words": "a\x00b"}, "cannot be stored"),
        ({"email": "not an address"}, "leave it empty"),
        ({"email": "a@b.example\nBcc: c@d.example"}, "leave it empty"),
        ({"stamp": "made up"}, "open for long"),
        ({"stamp": ""}, "open for long"),
    ):
        forget_attempts()
        answer = send(network, **form)
        assert answer.status_code == 422, form
        assert words in answer.text, form
        if "words" not in form:
            assert "Closed on Mondays" in answer.text
    assert send(network, csrf_token="").status_code == 400
    assert Browser(network.hub).get("/spaces/nowhere/report").status_code == 404
    assert every(network) == []
    assert mails(network) == {}


def test_machines_are_kept_out(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    assert send(network, company="Spam Ltd").status_code == 303  # it is told nothing
    assert every(network) == []
    monkeypatch.setattr(forms, "LEAST_SECONDS", 3)
    answer = send(network)
    assert (answer.status_code, "very fast" in answer.text) == (422, True)
    monkeypatch.setattr(forms, "LEAST_SECONDS", 0)
    other = Page(Browser(network.hub).get("/spaces/troquet/report").text).values["stamp"]
    assert send(network, stamp=other).status_code == 422  # of another space's form
    answers = [send(network).status_code for _ in range(4)]
    assert answers == [303, 303, 429, 429]
    forget_attempts()
    monkeypatch.setattr(reports, "MOST_A_DAY", 2)
    answer = send(network)
    assert (answer.status_code, "many reports today" in answer.text) == (422, True)
    assert len(every(network)) == 2


def test_a_form_sent_twice_is_one_report_and_one_letter(network: Network) -> None:
    reader = Browser(network.hub)
    stamp = Page(reader.get("/spaces/cordee/report").text).values["stamp"]
    for _ in range(2):
        assert reader.post("/spaces/cordee/report", {**GOOD, "stamp": stamp}).status_code == 303
    assert len(every(network)) == 1

    def file() -> str:
        with network.hub.app.app_context():
            session = hub_db.session()
            args = ("cordee", "one-key", "other", "words", None)
            return reports.file(session, hub_context(), *args).id

    assert len(set(at_once([file] * 4))) == 1
    assert len(every(network)) == 2
    assert len(every(network, Mail)) == 2


def test_two_moderators_at_once_close_it_once(network: Network) -> None:
    send(network, email="ada@example.org")
    (report,) = every(network)

    def close(words: str) -> bool:
        with network.hub.app.app_context():
            try:
                reports.close(hub_db.session(), hub_context(), "account:1", report.id, words)
            except Problem:
                return False
            return True

    assert sorted(at_once([lambda: close("one"), lambda: close("two")])) == [False, True]
    assert len([mail for mail in every(network, Mail) if mail.key.endswith(":closed")]) == 1
    moderator = as_(network, "moderator")
    moderator.get("/coordination/moderation")
    moderator.post(f"/coordination/moderation/reports/{report.id}/close", words="three")
    assert "Somebody else closed" in moderator.get("/coordination/moderation").text


def test_only_the_spaces_own_node_hears_of_it_and_answers(network: Network) -> None:
    send(network)
    (report,) = every(network)
    with network.nodes["troquet"].context() as (session, node):
        assert node.hub.call("GET", "/api/v1/nodes/me/reports").json()["reports"] == []
        path = f"/api/v1/nodes/me/reports/{report.id}/answer"
        assert node.hub.call("PUT", path, json={"answer": "corrected"}).status == 404
        assert session is not None
    with network.nodes["cordee"].context() as (_, node):
        for body in ({"answer": "maybe"}, {}, {"answer": "corrected", "words": "x" * 2001}):
            assert node.hub.call("PUT", path, json=body).status == 422
        assert "email" not in node.hub.call("GET", "/api/v1/nodes/me/reports").json()["reports"][0]
    admin = Browser(network.nodes["cordee"])
    admin.log_in("admin@cordee.example")
    admin.get("/account")
    assert admin.post("/console/reports/..%2Fx/answer", outcome="corrected").status_code == 404
    assert admin.post("/console/reports/made-up/answer", outcome="corrected").status_code == 404


def test_an_admins_words_are_kept_when_the_hub_is_away(network: Network) -> None:
    cordee = network.nodes["cordee"]
    send(network)
    with cordee.app.app_context():
        node_jobs.ask_for_reports()
    (report,) = every(network)
    admin = Browser(cordee)
    admin.log_in("admin@cordee.example")
    admin.get("/console/reports")
    with cordee.cut_off():
        path = f"/console/reports/{report.id}/answer"
        answer = admin.post(path, outcome="corrected", words="It was the 1st of May.")
        assert answer.status_code == 503
        assert Page(answer.text).values["words"] == "It was the 1st of May."
    assert every(network)[0].answer is None


def test_an_address_is_forgotten_after_90_days_and_a_closed_report_after_a_year(
    network: Network,
) -> None:
    send(network, email="ada@example.org")
    with inside(network) as session:
        now = hub_context().clock.now()
        reports.purge_expired(session, now + timedelta(days=89))
        assert session.scalars(select(Report)).one().email == "ada@example.org"
        reports.purge_expired(session, now + timedelta(days=91))
        row = session.scalars(select(Report)).one()
        assert row.email is None
        reports.close(session, hub_context(), "account:1", row.id, "done")
        reports.purge_expired(session, now + timedelta(days=364))
        assert session.scalars(select(Report)).all() != []
        reports.purge_expired(session, now + timedelta(days=366))
        assert session.scalars(select(Report)).all() == []


# What changed


def test_what_a_space_changes_is_shown_before_and_after_until_somebody_has_looked(
    network: Network,
) -> None:
    troquet = network.nodes["troquet"]
    publish(troquet, description="A quiet place to work", transport="Tram 3")
    publish(troquet, description="A lively place to work", transport="Tram 3")
    (change,) = every(network, Change)
    assert (change.name, change.space_id, change.times) == ("troquet/sheet", "troquet", 2)
    moderator = as_(network, "moderator")
    page = moderator.get("/coordination/moderation").text
    assert "A <ins>lively</ins>" not in page  # the first text was never looked at: all is new
    assert "<ins>A lively place to work</ins>" in page
    marked = {"seen": f"{change.id}:1"}  # as it was shown before the second change
    moderator.post("/coordination/moderation/changes/seen", marked)
    assert every(network, Change)[0].seen_at is None
    moderator.post("/coordination/moderation/changes/seen", {"seen": f"{change.id}:2"})
    assert every(network, Change)[0].seen_by.startswith("account:")
    assert "Nothing new" in moderator.get("/coordination/moderation").text
    publish(troquet, description="A loud place to work")
    page = moderator.get("/coordination/moderation").text
    assert re.search(r"A <del>lively </del>place to work", page)
    assert re.search(r"A <ins>loud </ins>place to work", page)
    publish(troquet, description="A lively place to work")
    assert "It is again as it was." in moderator.get("/coordination/moderation").text
    until = Page(moderator.get("/coordination/moderation").text).values["until"]
    moderator.post("/coordination/moderation/changes/seen", {"until": until})
    assert "Nothing new" in moderator.get("/coordination/moderation").text
    history = moderator.get("/coordination/moderation/spaces/troquet").text
    assert history.count('class="change"') == 2
    with inside(network) as session:
        lines = session.scalars(select(AuditEntry).where(AuditEntry.action == "change-seen")).all()
        assert len(lines) == 2
    for bad in ({"seen": "x"}, {"seen": "1"}, {"seen": "9" * 30 + ":1"}, {"until": "now"}):
        path = "/coordination/moderation/changes/seen"
        assert moderator.post(path, bad).status_code == 400


def test_a_change_that_comes_while_it_is_marked_stays_to_be_looked_at(network: Network) -> None:
    def note(n: int) -> None:
        with network.hub.app.app_context():
            session, now = hub_db.session(), hub_context().clock.now()
            begin_write(session)
            changes.note(session, now, "x", "x/sheet", {"name": "0"}, {"name": str(n)}, n)
            session.commit()

    def mark() -> int:
        with network.hub.app.app_context():
            now = hub_context().clock.now()
            return changes.mark_seen(hub_db.session(), now, "account:1", [(row.id, row.times)])

    note(1)
    (row,) = every(network, Change)
    at_once([lambda: note(2), mark])
    rows = every(network, Change)
    unseen = [each for each in rows if each.seen_at is None]
    assert [each.after for each in unseen] == [{"name": "2"}]
    assert sum(at_once([mark, mark])) == 0  # what was shown is not what there is now


def test_old_changes_are_dropped_but_for_the_latest_of_each_document(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "KEPT_OF_ONE", 2)
    with inside(network) as session:
        now = hub_context().clock.now()
        for n in range(4):
            begin_write(session)
            changes.note(session, now, "x", "x/sheet", {}, {"name": str(n)}, n)
            session.commit()
            changes.mark_all_seen(session, now, "account:1", now)
        changes.purge_expired(session, now)
        assert [row.version for row in session.scalars(select(Change).order_by(Change.id))] == [
            2,
            3,
        ]
        changes.purge_expired(session, now + timedelta(days=366))
        assert session.scalars(select(Change)).all() == []
    with network.hub.app.app_context():
        hub_jobs.tidy()


# Off the map


def test_a_hidden_space_is_nowhere_to_be_found_and_its_operator_replies(network: Network) -> None:
    hub, filature = network.hub, network.nodes["filature"]
    publish(filature, email="hello@filature.example")
    moderator = as_(network, "moderator")
    place = "/coordination/moderation/spaces/filature"
    moderator.get(place)
    moderator.post(f"{place}/hide", reason=" ")
    assert "Give the reason" in moderator.get(place).text
    moderator.post(f"{place}/hide", reason="It advertises <something else>.")
    try:
        for path in ("/spaces/filature", "/api/v1/spaces/filature", "/spaces/filature/report"):
            assert hub.get(path).status_code == 404, path
        for path in ("/", "/api/v1/spaces", "/api/v1/spaces.geojson", "/values"):
            assert "filature" not in hub.get(path).text.casefold(), path
        hidden = mails(network).popitem()[1]
        assert (hidden.to, "advertises" in hidden.text) == ("hello@filature.example", True)
        member = network.nodes["cordee"].add_person()
        assert filature.scan(member.show()).status_code == 201  # its door goes on
        with filature.app.app_context():
            node_jobs.ask_for_reports()
        admin = Browser(filature)
        admin.log_in("admin@filature.example")
        assert "It advertises &lt;something else&gt;." in admin.get("/console/reports").text
        for words in ("It does not.", "It does no more."):
            admin.post("/console/reports/hidden/filature/reply", words=words)
        page = moderator.get("/coordination/moderation").text
        assert "It does no more." in page
        moderator.get(place)
        moderator.post(f"{place}/hide", reason="another")
        assert "that reason stands" in moderator.get(place).text
    finally:
        moderator.post(f"{place}/show")
    assert hub.get("/spaces/filature").status_code == 200
    with inside(network) as session:
        query = select(AuditEntry).where(AuditEntry.subject == "filature")
        lines = session.scalars(query.order_by(AuditEntry.id)).all()
        told = [line.action for line in lines if line.action.startswith("space-")]
        assert told == ["space-hidden", "space-reply", "space-reply", "space-shown"]
    with filature.app.app_context():
        node_jobs.ask_for_reports()
    assert "Nothing is reported" in admin.get("/console/reports").text


def test_two_moderators_hide_a_space_once(network: Network) -> None:
    def hide(reason: str) -> bool:
        with network.hub.app.app_context():
            try:
                args = (hub_db.session(), hub_context(), "account:1", "troquet", reason)
                hiding.hide(*args)
            except Problem:
                return False
            return True

    try:
        assert sorted(at_once([lambda: hide("one"), lambda: hide("two")])) == [False, True]
    finally:
        with inside(network) as session:
            hiding.show(session, hub_context().clock.now(), "account:1", "troquet")
            assert hiding.hidden(session) == []


def test_a_reader_reads_the_desk_and_changes_nothing(network: Network) -> None:
    send(network)
    (report,) = every(network)
    reader = as_(network, "reader")
    page = reader.get("/coordination/moderation")
    assert page.status_code == 200
    assert "<textarea" not in page.text
    reader.get("/account")
    for path in (
        f"reports/{report.id}/close",
        "changes/seen",
        "spaces/cordee/hide",
        "spaces/cordee/show",
    ):
        assert reader.post(f"/coordination/moderation/{path}", reason="r").status_code == 403
    assert reader.get("/coordination/moderation/spaces/nowhere").status_code == 404

"""Importing and exporting members: tried first, all or nothing, and nothing in it is believed."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import func, select

from node.identity.models import Account
from node.members import importing, service
from node.members.dry_run import Choices
from node.members.models import ImportFile, Member
from node.members.plans import plans
from node.members.sheet import guess, read, read_date
from shared.wire.tables import SheetFault, decode, harmless
from tests.network import LocalNode, Network, at_once, codes
from tests.node.postbox import Postbox
from tests.shared.browser import Browser, Page, forget_attempts

EN = {"Accept-Language": "en"}
HEADER = "Prénom;Nom;Courriel;Formule;Début;Fin\n"


@pytest.fixture
def cordee(lasting_network: Network) -> Iterator[LocalNode]:
    found = lasting_network.nodes["cordee"]
    before = found.app.extensions["node"]
    yield found
    found.app.extensions["node"] = before


@pytest.fixture
def admin(cordee: LocalNode) -> Browser:
    forget_attempts()
    browser = Browser(cordee, "en")
    assert browser.log_in("admin@cordee.example").status_code == 302
    return browser


def bring(admin: Browser, content: bytes) -> requests.Response:
    admin.get("/console/members/import")
    return admin.session.post(
        f"{admin.url}/console/members/import",
        data={"csrf_token": admin.token},
        files={"file": ("list.csv", content)},
        allow_redirects=False,
        timeout=60,
    )


def trial(admin: Browser, content: str | bytes, query: str = "") -> tuple[str, str]:
    """Bring a list; return its trial's address, and what that page says."""
    raw = content.encode() if isinstance(content, str) else content
    answer = bring(admin, raw)
    assert answer.status_code == 302, Page(answer.text).text
    path = answer.headers["Location"]
    page = admin.get(f"{path}{query}")
    assert page.status_code == 200
    return path, page.text


def run(admin: Browser, path: str, page: str, **more: str) -> str:
    """Import what the trial shows; return what is said in the end."""
    posted = page.rpartition('<form class="card" method="post">')[2]
    values = Page(posted).values
    answer = admin.post(path, {**values, **more})
    assert answer.status_code == 200
    found = re.search(r'id="outcome">(.*?)</p>', answer.text, re.DOTALL)
    assert found, answer.text
    return found[1]


def people(node: LocalNode, like: str) -> dict[str, Member]:
    with node.context() as (session, _):
        query = select(Member).join(Account).where(Account.email.like(like))
        return {row.account.email: row for row in session.scalars(query)}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [";", ",", "\t"])
def test_lists_are_read_as_spreadsheets_write_them(encoding: str, delimiter: str) -> None:
    text = 'Prénom;Nom;E-mail\r\nZoé;"Le; Fèvre";z@x.org\r\n'.replace(";", delimiter)
    table = read(decode(text.encode(encoding)))
    assert table.header == ("Prénom", "Nom", "E-mail")
    assert table.rows == (
        (
            2,
            (
                "Zoé",
                "Le; Fèvre".replace("; ", " " if delimiter == "\t" else f"{delimiter} "),
                "z@x.org",
            ),
        ),
    )
    assert guess(table.header) == {"given_name": 0, "family_name": 1, "email": 2}


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    table = read('a,b\n\n"x\ny",1\n , \nz,2')
    assert [number for number, _ in table.rows] == [3, 6]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-12-24", date(2026, 12, 24)),
        ("24/12/2026", date(2026, 12, 24)),
        ("4.1.2026", date(2026, 1, 4)),
        ("2026-12-24 00:00:00", date(2026, 12, 24)),
        ("", None),
    ],
)
def test_dates_are_read_as_people_write_them(text: str, found: date | None) -> None:
    assert read_date(text) == found


@pytest.mark.parametrize("text", ["31/02/2026", "12/24/2026", "2026", "tomorrow", "=1+1"])
def test_what_is_no_date_is_not_guessed(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_date(text)


def test_a_list_is_tried_then_imported_and_again_changes_nothing(
    admin: Browser, cordee: LocalNode
) -> None:
    text = (
        HEADER + "Zoé;Lefèvre;zoe@list.example;resident;01/03/2026;\n"
        "Noé;Petit;NOE@list.example;Nomade;2026-04-01;2027-01-31\n"
        ";Sans prénom;x@list.example;resident;;\n"
        "Max;Faute;max-at-list;vip;31/02/2026;\n"
        "Noé;Encore;noe@list.example;nomad;;\n"
        "Zoé;Lefèvre;zoe.lefevre@list.example;resident;;\n"
    )
    path, page = trial(admin, text)
    words = Page(page).text
    for said in (
        "3 to add",
        "0 to change",
        "3 with faults",
        "Line 4 (Sans prénom): There is no given name.",
        "“max-at-list” is no e-mail address. There is no plan named “vip”. first day: “31/02/2026”",
        "Line 6 (Noé Encore): The same address as on line 3.",
        "Line 7 (Zoé Lefèvre): zoe.lefevre@list.example – already: zoe@list.example",
    ):
        assert said in words, said
    assert not people(cordee, "%@list.example")  # a trial writes nothing
    assert run(admin, path, page, skip_twins="1").startswith("Imported: 2 new, 0 changed")
    found = people(cordee, "%@list.example")
    assert set(found) == {"zoe@list.example", "noe@list.example"}
    noe = found["noe@list.example"]
    assert (noe.joined_on, noe.ended_on) == (date(2026, 4, 1), date(2027, 1, 31))
    assert noe.plan.plan_class == "nomad"
    assert admin.get(path).status_code == 302  # the list is not kept
    path, page = trial(admin, text)
    assert "2 as they are" in Page(page).text
    again = trial(admin, text.replace("2027-01-31", "2027-02-28"))
    assert "Line 3 (Noé Petit): last day" in Page(again[1]).text
    assert run(admin, *again, skip_twins="1").startswith("Imported: 0 new, 1 changed")
    assert people(cordee, "noe@list%")["noe@list.example"].ended_on == date(2027, 2, 28)


def test_an_import_reaches_the_passes(
    admin: Browser, cordee: LocalNode, lasting_network: Network
) -> None:
    troquet = lasting_network.nodes["troquet"]
    person = cordee.add_person().get_pass()
    line = f"given name,email,last day\nAda,{person.email},2026-11-20\n"
    assert run(admin, *trial(admin, line)).startswith("Imported: 0 new, 1 changed")
    cordee.deliver()
    assert codes(troquet.scan(person.show())) == ["pass_revoked"]


def test_columns_can_be_chosen_where_their_names_say_nothing(
    admin: Browser, cordee: LocalNode
) -> None:
    with cordee.context() as (session, _):
        plan = next(p.id for p in plans(session) if p.plan_class == "nomad")
    text = "A,B\nodd@columns.example,Odile\n"
    path, page = trial(admin, text)
    assert "There is no e-mail address." in page
    chosen = f"?chosen=1&column_email=0&column_given_name=1&plan={plan}"
    page = admin.get(path + chosen).text
    assert "1 to add" in Page(page).text
    for odd in ("column_email=99", "column_email=-1", "column_email=x", "plan=9999999999999999"):
        assert admin.get(f"{path}?chosen=1&{odd}").status_code == 200
    assert run(admin, path, page).startswith("Imported: 1 new")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "Choose a file"),
        (b"\n\n\n", "Choose a file"),
        (b"only a header\n", "one more are needed"),
        (b"a,b\nx,\x00\n", "cannot be stored"),
        (b"\x81\x8d\x8f\x90\x9d,\xff\n1,2\n", "This is no text"),
        (b"\xff\xfea", "This is no text"),
        (b"a," * 100 + b"\n1\n", "columns; 60 are taken"),
        (b"," * 1_000_000, "columns; 60 are taken"),
        (b'a,b\n"' + b"x" * 200_000 + b'",1\n', "cannot be read"),
        (b"a\n" * 20_003, "At most 20000 lines"),
    ],
)
def test_what_cannot_be_a_list_is_said_so(admin: Browser, content: bytes, said: str) -> None:
    answer = bring(admin, content)
    assert answer.status_code == 422
    assert said in Page(answer.text).text


def test_ten_megabytes_are_refused(admin: Browser) -> None:
    answer = bring(admin, b"a,b\n" * 2_500_000)
    assert answer.status_code == 413
    assert "too large" in answer.text


def test_formulas_are_harmless_in_the_export_and_come_back_as_they_were(
    admin: Browser, cordee: LocalNode
) -> None:
    odd = ['=HYPERLINK("http://x")', "+33", "-1", "@SUM(1)"]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["first name", "last name", "email", "plan"])
    for n, name in enumerate(odd):
        writer.writerow([name, "<script>alert(1)</script>", f"f{n}@formula.example", "nomad"])
    path, page = trial(admin, out.getvalue())
    assert "<script>alert" not in page
    assert run(admin, path, page).startswith("Imported: 4 new")
    exported = admin.session.get(f"{admin.url}/console/members.csv", timeout=20).content
    rows = list(csv.reader(io.StringIO(exported.decode("utf-8-sig")), delimiter=";"))
    cells = {row[2]: row[0] for row in rows}
    assert [cells[f"f{n}@formula.example"] for n in range(4)] == [f"'{name}" for name in odd]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]
    page = trial(admin, exported)[1]
    assert "0 to add" in Page(page).text
    assert "0 to change" in Page(page).text
    assert "0 with faults" in Page(page).text
    assert harmless("\t=1") == "'\t=1"


def test_a_list_is_nobody_elses_and_is_dropped_after_an_hour(
    admin: Browser, cordee: LocalNode, lasting_network: Network
) -> None:
    path, _ = trial(admin, HEADER + "A;B;own@list2.example;nomad;;\n")
    with cordee.context() as (session, node):
        other = session.scalar(select(Account.id).where(Account.email == "desk@cordee.example"))
        now = node.clock.now()
        assert other is not None
        file_id = path.rpartition("/")[2]
        assert importing.kept(session, now, other, file_id) is None
        with cordee.app.test_request_context():
            steps = list(importing.run(session, node, other, file_id, Choices({})))
        assert [step.state for step in steps] == ["failed"]
        importing.purge_expired(session, now + importing.KEPT * 2)
        assert session.scalar(select(func.count()).select_from(ImportFile)) == 0
    assert admin.get(path).status_code == 302
    gone = admin.post(path, {"chosen": "1"})
    assert "too old" in gone.text


def test_two_imports_at_once_make_nobody_twice(cordee: LocalNode) -> None:
    text = "first name,last name,email,plan\n" + "".join(
        f"A{n},B,r{n}@race.example,nomad\n" for n in range(300)
    )
    choices = Choices({"given_name": 0, "family_name": 1, "email": 2, "plan": 3})
    with cordee.context() as (session, node):
        now = node.clock.now()
        ids = session.scalars(
            select(Account.id).where(
                Account.email.in_(("admin@cordee.example", "desk@cordee.example"))
            )
        ).all()
        files = [(who, importing.store(session, now, who, text)) for who in ids]

    def go(who: int, file_id: str) -> Callable[[], str]:
        def call() -> str:
            with cordee.context() as (session, node), cordee.app.test_request_context(headers=EN):
                return list(importing.run(session, node, who, file_id, choices))[-1].words

        return call

    said = at_once([go(*file) for file in files])
    assert sorted(re.findall(r"(\d+) new", " ".join(said))) == ["0", "300"], said
    assert len(people(cordee, "%@race.example")) == 300


def test_what_is_refused_halfway_leaves_nothing(
    admin: Browser, cordee: LocalNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = cordee.add_person()
    text = (
        "first name,last name,email,plan,end\n"
        "New,One,half@way.example,nomad,\n"
        f"Ada,Last,{person.email},,2026-12-31\n"
    )

    def refuse(*_args: Any) -> None:
        raise service.Problem(
            "conflict", "This is the only admin: give somebody else the role first."
        )

    monkeypatch.setattr("node.members.changes.keep_an_admin", refuse)
    outcome = run(admin, *trial(admin, text))
    assert outcome.startswith("Line 3: This is the only admin")
    assert "Nothing was imported." in outcome
    assert not people(cordee, "half@way.example")


def test_those_without_a_password_are_invited_where_that_is_wanted(
    admin: Browser, cordee: LocalNode, tmp_path: Path
) -> None:
    postbox = Postbox(cordee, tmp_path)
    postbox.come()
    text = HEADER + "".join(f"I;J;inv{n}@list3.example;nomad;;\n" for n in range(3))
    run(admin, *trial(admin, text))
    assert postbox.come() == []
    # The same list again invites, and once only.
    changed = text.replace("I;J", "I;K")
    run(admin, *trial(admin, changed), invite="1")
    assert len(postbox.come()) == 3
    run(admin, *trial(admin, text), invite="1")
    assert postbox.come() == []


def test_five_thousand_lines_are_imported_and_the_page_says_how_far_it_is(
    admin: Browser, cordee: LocalNode
) -> None:
    text = HEADER + "".join(
        f"Prénom{n};Nom{n};big{n}@big.example;nomad;2026-01-01;\n" for n in range(5000)
    )
    path, page = trial(admin, text)
    assert "5,000 to add" in Page(page).text
    values = Page(page.rpartition('<form class="card" method="post">')[2]).values
    with admin.session.post(
        f"{admin.url}{path}",
        data={**values, "csrf_token": admin.token},
        stream=True,
        timeout=120,
    ) as answer:
        moments = [(time.monotonic(), chunk) for chunk in answer.iter_content(256)]
    text = b"".join(chunk for _, chunk in moments).decode()
    assert "250 of 5000 lines" in text
    assert "Imported: 5000 new" in text
    assert moments[-1][0] - moments[0][0] > 0.05  # it came as it was done
    assert len(people(cordee, "%@big.example")) == 5000


def test_a_fault_in_the_file_is_a_sheet_fault() -> None:
    with pytest.raises(SheetFault):
        read("a;b\n")

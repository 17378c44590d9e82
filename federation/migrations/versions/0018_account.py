"""the account: showings, published hours, what ends a visit, what a line reverses; no name"""

import hashlib
import json
from base64 import urlsafe_b64decode
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None

OPEN = sa.text("state = 'open' AND held IS NULL")
HELD = sa.text('held IS NOT NULL')
NOW = sa.text('until IS NULL')
INSTANT = sa.DateTime(timezone=True)
HOURS = ('timezone', 'week', 'exceptions', 'until')


def upgrade() -> None:
    op.create_table('showing',
    sa.Column('showing', sa.String(64), nullable=False),
    sa.Column('kind', sa.String(7), nullable=False),
    sa.Column('host_id', sa.String(64), nullable=False),
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('at', INSTANT, nullable=False),
    sa.Column('live', sa.Boolean(), nullable=False),
    sa.Column('told_at', INSTANT, nullable=False),
    sa.CheckConstraint("kind IN ('visit', 'seen', 'refused')", name=op.f('ck_showing_kind')),
    sa.ForeignKeyConstraint(['host_id'], ['node.id'], name=op.f('fk_showing_host_id_node')),
    sa.PrimaryKeyConstraint('showing', name=op.f('pk_showing'))
    )
    op.create_index(op.f('ix_showing_told_at'), 'showing', ['told_at'])
    op.create_table('space_hours',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('since', INSTANT, nullable=False),
    sa.Column('until', INSTANT, nullable=True),
    sa.Column('document', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['space_id'], ['space.id'], name=op.f('fk_space_hours_space_id_space')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_space_hours'))
    )
    op.create_index('ix_space_hours_since', 'space_hours', ['space_id', 'since'])
    op.create_index('uq_space_hours_now', 'space_hours', ['space_id'], unique=True, sqlite_where=NOW, postgresql_where=NOW)
    with op.batch_alter_table('visit') as batch_op:
        batch_op.add_column(sa.Column('held', sa.String(20), nullable=True))
        batch_op.add_column(sa.Column('disputed', sa.Boolean(), server_default=sa.text('false'), nullable=False))
        batch_op.add_column(sa.Column('upheld', sa.Boolean(), server_default=sa.text('false'), nullable=False))
        batch_op.add_column(sa.Column('left_at', INSTANT, nullable=True))
        batch_op.add_column(sa.Column('shown_at', INSTANT, nullable=True))
        batch_op.add_column(sa.Column('day', sa.Date(), nullable=True))
        batch_op.add_column(sa.Column('hours', sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column('closes_at', INSTANT, nullable=True))
        batch_op.add_column(sa.Column('evidence', sa.JSON(), nullable=True))
        batch_op.alter_column('proof', type_=sa.String(64))
        batch_op.drop_index('ix_visit_proof')
        batch_op.drop_index('uq_visit_open_member')
    with op.batch_alter_table('pass') as batch_op:
        batch_op.add_column(sa.Column('known_at', INSTANT, nullable=True))
    op.execute('UPDATE pass SET known_at = changed_at')
    with op.batch_alter_table('pass') as batch_op:
        batch_op.alter_column('known_at', existing_type=INSTANT, nullable=False)
    with op.batch_alter_table('half_day_line') as batch_op:
        batch_op.add_column(sa.Column('reverses_id', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('reason', sa.String(300), server_default=sa.text("''"), nullable=False))
        batch_op.drop_constraint('uq_half_day_line_once', type_='unique')
    _fill()
    op.execute(
        "UPDATE half_day_line SET reason = COALESCE((SELECT visit.void_reason FROM visit WHERE "
        "visit.id = half_day_line.visit_id), '') WHERE quantity < 0"
    )
    with op.batch_alter_table('visit') as batch_op:
        for name, kind in (('shown_at', INSTANT), ('day', sa.Date()), ('closes_at', INSTANT), ('evidence', sa.JSON())):
            batch_op.alter_column(name, existing_type=kind, nullable=False)
        batch_op.drop_column('report')
        batch_op.create_index('uq_visit_open_member', ['member_id'], unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
        batch_op.create_index('ix_visit_held', ['held'], unique=False, sqlite_where=HELD, postgresql_where=HELD)
    with op.batch_alter_table('half_day_line') as batch_op:
        batch_op.create_foreign_key(op.f('fk_half_day_line_reverses_id_half_day_line'), 'half_day_line', ['reverses_id'], ['id'])
        batch_op.create_unique_constraint(op.f('uq_half_day_line_reverses_id'), ['reverses_id'])
        batch_op.create_unique_constraint('uq_half_day_line_once', ['member_id', 'month', 'host_id', 'day', 'half', 'occurrence', 'quantity'])
        batch_op.create_check_constraint('reverses', '(quantity = 1) = (reverses_id IS NULL)')
        batch_op.create_index(op.f('ix_half_day_line_visit_id'), ['visit_id'], unique=False)


def _fill():
    """Write what is new about what is there: by what hosts told, for want of what was published."""
    db = op.get_bind()
    visit = sa.table('visit', *(sa.column(name, kind) for name, kind in (
        ('id', sa.String), ('started_at', INSTANT), ('ended_at', INSTANT), ('state', sa.String),
        ('timezone', sa.String), ('facts', sa.JSON), ('report', sa.Text), ('shown_at', INSTANT),
        ('left_at', INSTANT), ('day', sa.Date), ('hours', sa.JSON(none_as_null=True)),
        ('closes_at', INSTANT), ('evidence', sa.JSON))))
    for row in db.execute(sa.select(visit)).all():
        zone, opening = _zone(row.timezone), _opening(row.facts)
        day = row.started_at.astimezone(zone).date()
        closes_at = datetime.combine(day + timedelta(1), datetime.min.time(), zone)
        if opening:
            closes_at = datetime.fromisoformat(opening[1])
            day = min(day, datetime.fromisoformat(opening[0]).astimezone(zone).date())
        db.execute(sa.update(visit).where(visit.c.id == row.id).values(
            shown_at=row.started_at, left_at=row.ended_at if row.state == 'closed' else None,
            day=day, hours=[opening] if opening else None, closes_at=closes_at,
            evidence=_evidence(row.report)))
    line = sa.table('half_day_line', *(sa.column(name) for name in (
        'id', 'member_id', 'host_id', 'space_id', 'day', 'half', 'quantity', 'occurrence', 'reverses_id')))
    # In the order in which they were written, a reversal follows what it reverses. Half-days that
    # two spaces of an operator counted for one person stay counted, each as an occurrence.
    last, standing = {}, {}
    for row in db.execute(sa.select(line).order_by(line.c.id)).all():
        place = (row.member_id, row.space_id, row.day, row.half, row.occurrence)
        half_day = (row.member_id, row.host_id, row.day, row.half)
        if row.quantity > 0:
            last[half_day] = last.get(half_day, -1) + 1
            standing[place] = row.id, last[half_day]
            change = {'occurrence': last[half_day]}
        else:
            found = standing.pop(place, None) or standing.popitem()[1]
            change = dict(zip(('reverses_id', 'occurrence'), found, strict=True))
        db.execute(sa.update(line).where(line.c.id == row.id).values(**change))
    space = sa.table('space', sa.column('id'), sa.column('node_id'), sa.column('document', sa.JSON))
    node = sa.table('node', sa.column('id'), sa.column('enrolled_at', INSTANT))
    hours = sa.table('space_hours', sa.column('space_id'), sa.column('since', INSTANT), sa.column('document', sa.JSON))
    found = sa.select(space.c.id, space.c.document, node.c.enrolled_at).join_from(space, node, node.c.id == space.c.node_id)
    for row in db.execute(found).all():
        kept = {name: row.document[name] for name in HOURS if row.document.get(name) is not None}
        db.execute(sa.insert(hours).values(space_id=row.id, since=row.enrolled_at, document=kept))


def _zone(name):
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return ZoneInfo('Europe/Paris')


def _opening(facts):
    """Return the opening that a host told, where it is one."""
    try:
        opens, closes = (datetime.fromisoformat(each) for each in facts['opening'])
    except (KeyError, TypeError, ValueError):
        return None
    return [opens.isoformat(), closes.isoformat()] if opens.tzinfo and closes.tzinfo else None


def _evidence(report):
    """Return what is kept of a report: not the name that was in it."""
    found = {'digest': hashlib.sha256(report.encode()).hexdigest(), 'claims': {}, 'binding': ''}
    try:
        credential, _, found['binding'] = _claims(report)['pass'].partition('~')
        found['claims'] = {name: value for name, value in _claims(credential).items() if name != 'given_name'}
    except (LookupError, ValueError, TypeError, AttributeError):
        pass
    return found


def _claims(token):
    payload = token.split('.')[1]
    return json.loads(urlsafe_b64decode(payload + '=' * (-len(payload) % 4)))


def downgrade() -> None:
    with op.batch_alter_table('half_day_line') as batch_op:
        batch_op.drop_index(op.f('ix_half_day_line_visit_id'))
        batch_op.drop_constraint('reverses', type_='check')
        batch_op.drop_constraint('uq_half_day_line_once', type_='unique')
        batch_op.drop_constraint(op.f('uq_half_day_line_reverses_id'), type_='unique')
        batch_op.drop_constraint(op.f('fk_half_day_line_reverses_id_half_day_line'), type_='foreignkey')
        batch_op.drop_column('reverses_id')
        batch_op.drop_column('reason')
        batch_op.create_unique_constraint('uq_half_day_line_once', ['member_id', 'month', 'space_id', 'day', 'half', 'occurrence', 'quantity'])
    with op.batch_alter_table('visit') as batch_op:
        batch_op.drop_index('ix_visit_held')
        batch_op.drop_index('uq_visit_open_member')
        batch_op.add_column(sa.Column('report', sa.Text(), server_default='', nullable=False))
        for name in ('held', 'disputed', 'upheld', 'left_at', 'shown_at', 'day', 'hours', 'closes_at', 'evidence'):
            batch_op.drop_column(name)
        batch_op.create_index('ix_visit_proof', ['proof'], unique=False)
        batch_op.create_index('uq_visit_open_member', ['member_id'], unique=True, sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'"))
    with op.batch_alter_table('pass') as batch_op:
        batch_op.drop_column('known_at')
    op.drop_table('space_hours')
    op.drop_table('showing')

"""reports, changes to look at, spaces kept off the map; the agenda's events"""

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.add_column(sa.Column('hidden_at', sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column('hidden_reason', sa.String(500), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(sa.Column('hidden_reply', sa.String(1000), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(sa.Column('hidden_replied_at', sa.DateTime(timezone=True), nullable=True))
    op.create_table('report',
    sa.Column('id', sa.String(32), nullable=False),
    sa.Column('key', sa.String(64), nullable=False),
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('kind', sa.String(20), nullable=False),
    sa.Column('words', sa.Text(), nullable=False),
    sa.Column('email', sa.String(254), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answer', sa.String(12), nullable=True),
    sa.Column('answer_words', sa.Text(), nullable=False),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('closed_words', sa.Text(), nullable=False),
    sa.Column('closed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("answer IN ('corrected', 'not_an_error')", name=op.f('ck_report_answer')),
    sa.CheckConstraint('(answer IS NULL) = (answered_at IS NULL)', name=op.f('ck_report_answered')),
    sa.CheckConstraint('closed_at IS NULL OR email IS NULL', name=op.f('ck_report_forgotten')),
    sa.ForeignKeyConstraint(['space_id'], ['space.id'], name=op.f('fk_report_space_id_space')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_report')),
    sa.UniqueConstraint('key', name=op.f('uq_report_key'))
    )
    op.create_index('ix_report_space', 'report', ['space_id', 'at'])
    op.create_index('ix_report_queue', 'report', ['closed_at', 'at'])
    op.create_table('change',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('source', sa.String(64), nullable=False),
    sa.Column('name', sa.String(100), nullable=False),
    sa.Column('space_id', sa.String(64), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('before', sa.JSON(), nullable=False),
    sa.Column('after', sa.JSON(), nullable=False),
    sa.Column('times', sa.Integer(), nullable=False),
    sa.Column('first_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('seen_by', sa.String(160), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_change'))
    )
    op.create_index(op.f('ix_change_space_id'), 'change', ['space_id'])
    op.create_index('ix_change_queue', 'change', ['seen_at', 'at'])
    unseen = sa.text('seen_at IS NULL')
    op.create_index('uq_change_unseen', 'change', ['source', 'name'], unique=True, sqlite_where=unseen, postgresql_where=unseen)
    op.create_table('space_event',
    sa.Column('space_id', sa.String(64), nullable=False),
    sa.Column('event_id', sa.String(64), nullable=False),
    sa.Column('starts_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ends_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('first_day', sa.Date(), nullable=False),
    sa.Column('last_day', sa.Date(), nullable=False),
    sa.Column('words', sa.Text(), nullable=False),
    sa.Column('town', sa.Text(), nullable=False),
    sa.Column('document', sa.JSON(), nullable=False),
    sa.ForeignKeyConstraint(['space_id'], ['space.id'], name=op.f('fk_space_event_space_id_space')),
    sa.PrimaryKeyConstraint('space_id', 'event_id', name=op.f('pk_space_event'))
    )
    op.create_index('ix_space_event_time', 'space_event', ['last_day', 'starts_at'])
    _take_over_events()


def _take_over_events():
    """Give the agenda the events of the spaces that were published before it was there."""
    of = sa.table('space', *map(sa.column, ('id', 'name', 'town')), sa.column('document', sa.JSON))
    to = sa.table(
        'space_event',
        *map(sa.column, ('space_id', 'event_id', 'first_day', 'last_day', 'words', 'town')),
        sa.column('starts_at', sa.DateTime(timezone=True)),
        sa.column('ends_at', sa.DateTime(timezone=True)),
        sa.column('document', sa.JSON),
    )
    connection = op.get_bind()
    for space in connection.execute(sa.select(of)).all():
        document = space.document if isinstance(space.document, dict) else json.loads(space.document)
        zone = ZoneInfo(document.get('timezone') or 'Europe/Paris')
        for event in document.get('events') or ():
            starts, ends = (datetime.fromisoformat(event[name]) for name in ('starts_at', 'ends_at'))
            words = (event['title'], event['description'], event['place'], space.name, space.town)
            connection.execute(to.insert().values(
                space_id=space.id, event_id=event['id'], document=event,
                starts_at=starts.astimezone(UTC), ends_at=ends.astimezone(UTC),
                first_day=starts.astimezone(zone).date(),
                last_day=(ends - timedelta(microseconds=1)).astimezone(zone).date(),
                words=f" {_plain(' '.join(words))}", town=f' {_plain(space.town)}',
            ))


def _plain(text):
    folded = unicodedata.normalize('NFKD', unicodedata.normalize('NFKD', text.replace('’', ' ')).casefold())
    return ' '.join(''.join(c if c.isalnum() else ' ' for c in folded if c.isascii()).split())


def downgrade() -> None:
    op.drop_table('space_event')
    op.drop_table('change')
    op.drop_table('report')
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.drop_column('hidden_replied_at')
        batch_op.drop_column('hidden_reply')
        batch_op.drop_column('hidden_reason')
        batch_op.drop_column('hidden_at')

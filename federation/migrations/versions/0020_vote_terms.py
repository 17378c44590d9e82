"""votes: what is promised when one opens; former texts of proposals; several open at once"""

import hashlib
import json
import tomllib
from datetime import UTC, timedelta

import sqlalchemy as sa
from alembic import op

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None

BEFORE = "state IN ('in_force', 'open', 'adopted')"
IN_FORCE, OPEN = "state = 'in_force'", "state = 'open'"
TERMS = (
    "state <> 'open' OR (closes_at IS NOT NULL AND quorum IS NOT NULL "
    "AND majority IS NOT NULL AND electorate IS NOT NULL)"
)
WITHDRAWN = "withdrawn_because IN ('proposer', 'suspended', 'left')"
MOMENT = sa.DateTime(timezone=True)
ADDED = {
    'proposal_sha256': sa.String(64),
    'base': sa.String(20),
    'closes_at': MOMENT,
    'days': sa.Integer(),
    'quorum': sa.String(24),
    'majority': sa.String(24),
    'electorate': sa.JSON(none_as_null=True),
    'withdrawn_because': sa.String(12),
}

# The model charter's rule on votes.
MODEL = {'days': 10, 'quorum': '1/2', 'majority': '2/3'}


def upgrade() -> None:
    op.drop_index('uq_charter_version_in_force', 'charter_version')
    with op.batch_alter_table('charter_version', schema=None) as batch_op:
        for name, kind in ADDED.items():
            batch_op.add_column(sa.Column(name, kind, nullable=True))
    with op.batch_alter_table('ballot', schema=None) as batch_op:
        batch_op.alter_column('sha256', new_column_name='proposal_sha256', existing_type=sa.String(64), existing_nullable=False)
    op.create_table('former_text',
    sa.Column('version', sa.String(20), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('sources', sa.JSON(), nullable=False),
    sa.Column('argument', sa.Text(), nullable=False),
    sa.Column('sha256', sa.String(64), nullable=False),
    sa.Column('proposal_sha256', sa.String(64), nullable=False),
    sa.Column('opened_at', MOMENT, nullable=False),
    sa.Column('edited_at', MOMENT, nullable=False),
    sa.Column('edited_by', sa.String(64), nullable=False),
    sa.ForeignKeyConstraint(['version'], ['charter_version.version'], name=op.f('fk_former_text_version_charter_version')),
    sa.ForeignKeyConstraint(['edited_by'], ['node.id'], name=op.f('fk_former_text_edited_by_node')),
    sa.PrimaryKeyConstraint('version', 'number', name=op.f('pk_former_text'))
    )
    _write_terms(op.get_bind())
    with op.batch_alter_table('charter_version', schema=None) as batch_op:
        batch_op.create_check_constraint(op.f('ck_charter_version_terms'), TERMS)
        batch_op.create_check_constraint(op.f('ck_charter_version_withdrawn_because'), WITHDRAWN)
    _index('uq_charter_version_in_force', 'state', IN_FORCE)
    _index('uq_charter_version_open', 'proposed_by', OPEN)


def _index(name, column, where):
    op.create_index(name, 'charter_version', [column], unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _write_terms(connection):
    """Write what open votes were promised by the rule in force, and the hashes of what was read."""
    version = sa.table('charter_version', sa.column('version', sa.String), sa.column('sources', sa.JSON), sa.column('sha256', sa.String), sa.column('state', sa.String), sa.column('argument', sa.Text), sa.column('opened_at', MOMENT), sa.column('closed_at', MOMENT), *(sa.column(name, kind) for name, kind in ADDED.items()))
    ballot = sa.table('ballot', sa.column('version', sa.String), sa.column('proposal_sha256', sa.String), sa.column('at', MOMENT))
    rows = connection.execute(sa.select(version)).all()
    current = next((row for row in rows if row.state == 'in_force'), None)
    for row in rows:
        if row.opened_at is None:
            continue
        said = {'version': row.version, 'sources': {**row.sources, 'argument': row.argument}}
        canonical = json.dumps(said, sort_keys=True, separators=(',', ':'), ensure_ascii=False)
        values = {'proposal_sha256': hashlib.sha256(canonical.encode()).hexdigest(), 'closes_at': row.closed_at}
        if row.state == 'open':
            values |= _terms(connection, row, current)
        if row.state == 'withdrawn':
            values['withdrawn_because'] = 'proposer'
        connection.execute(version.update().where(version.c.version == row.version).values(values))
        cast = ballot.update().where(ballot.c.version == row.version, ballot.c.proposal_sha256 == row.sha256)
        connection.execute(cast.values(proposal_sha256=values['proposal_sha256']))


def _terms(connection, row, current):
    """Return the terms of the charter in force; of the proposal itself where there is none."""
    current = current or row
    rule = MODEL
    if 'rules.toml' in current.sources:
        rule = tomllib.loads(current.sources['rules.toml'])['vote']
    electorate = connection.execute(sa.text(
        "SELECT node.id FROM node JOIN signature ON signature.node_id = node.id AND signature.version = :version "
        "WHERE node.state IN ('connected', 'late', 'offline') ORDER BY node.id"
    ), {'version': current.version}).scalars()
    opened_at = row.opened_at if row.opened_at.tzinfo else row.opened_at.replace(tzinfo=UTC)
    return {
        'base': current.version,
        'closes_at': opened_at + timedelta(days=rule['days']),
        'days': rule['days'],
        'quorum': rule['quorum'],
        'majority': rule['majority'],
        'electorate': list(electorate),
    }


def downgrade() -> None:
    op.drop_index('uq_charter_version_open', 'charter_version')
    op.drop_index('uq_charter_version_in_force', 'charter_version')
    # one of each state was the rule: the first stays
    for state in ('open', 'adopted'):
        op.execute(
            f"UPDATE charter_version SET state = 'withdrawn' WHERE state = '{state}' "
            f"AND number > (SELECT min(number) FROM charter_version WHERE state = '{state}')"
        )
    with op.batch_alter_table('charter_version', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_charter_version_terms'), type_='check')
        batch_op.drop_constraint(op.f('ck_charter_version_withdrawn_because'), type_='check')
        for name in ADDED:
            batch_op.drop_column(name)
    op.execute(
        "UPDATE ballot SET proposal_sha256 = (SELECT sha256 FROM charter_version WHERE "
        "charter_version.version = ballot.version)"
    )
    with op.batch_alter_table('ballot', schema=None) as batch_op:
        batch_op.alter_column('proposal_sha256', new_column_name='sha256', existing_type=sa.String(64), existing_nullable=False)
    _index('uq_charter_version_in_force', 'state', BEFORE)
    op.drop_table('former_text')

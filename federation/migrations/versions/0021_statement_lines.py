"""which lines a month has is written when it is issued; its document is kept as it was signed"""

import sqlalchemy as sa
from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

OPEN = sa.text("state = 'open'")


def upgrade() -> None:
    op.create_table('statement_line',
    sa.Column('line_id', sa.Integer(), nullable=False),
    sa.Column('month', sa.String(7), nullable=True),
    sa.Column('state', sa.String(7), nullable=False),
    sa.CheckConstraint("state IN ('counted', 'held')", name=op.f('ck_statement_line_state')),
    sa.CheckConstraint("state = 'held' OR month IS NOT NULL", name=op.f('ck_statement_line_month')),
    sa.ForeignKeyConstraint(['line_id'], ['half_day_line.id'], name=op.f('fk_statement_line_line_id_half_day_line')),
    sa.ForeignKeyConstraint(['month'], ['statement.month'], name=op.f('fk_statement_line_month_statement')),
    sa.PrimaryKeyConstraint('line_id', name=op.f('pk_statement_line'))
    )
    op.create_index('ix_statement_line_month', 'statement_line', ['month', 'state'])
    op.create_table('statement_document',
    sa.Column('month', sa.String(7), nullable=False),
    sa.Column('node_id', sa.String(64), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('head', sa.JSON(), nullable=False),
    sa.Column('pairs', sa.JSON(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.Column('protected', sa.String(300), nullable=False),
    sa.Column('signature', sa.String(200), nullable=False),
    sa.ForeignKeyConstraint(['month'], ['statement.month'], name=op.f('fk_statement_document_month_statement')),
    sa.PrimaryKeyConstraint('month', 'node_id', name=op.f('pk_statement_document'))
    )
    _fill()
    with op.batch_alter_table('statement') as batch_op:
        batch_op.add_column(sa.Column('floor', sa.BigInteger(), server_default=sa.text('0'), nullable=False))
        batch_op.alter_column('state', type_=sa.String(7), existing_type=sa.String(6), existing_nullable=False)
        batch_op.alter_column('issued_at', existing_type=sa.DateTime(timezone=True), nullable=True)
        for name in ('cutoff', 'excluded'):
            batch_op.drop_column(name)
        for name in ('state', 'final'):
            batch_op.drop_constraint(name, type_='check')
        batch_op.create_check_constraint('state', "state IN ('closing', 'issued', 'final')")
        batch_op.create_check_constraint('issued', "(state = 'closing') = (issued_at IS NULL)")
        batch_op.create_check_constraint('final', "(state = 'final') = (final_at IS NOT NULL)")
    with op.batch_alter_table('dispute') as batch_op:
        batch_op.drop_index('uq_dispute_open_visit')
        batch_op.drop_constraint('decided', type_='check')
        batch_op.create_check_constraint('decided', "(state = 'open') = (decided_at IS NULL)")
        batch_op.create_unique_constraint(op.f('uq_dispute_visit_id_node_id'), ['visit_id', 'node_id'])
        batch_op.create_index('ix_dispute_month', ['month'])
        batch_op.create_index('ix_dispute_open', ['visit_id'], unique=False, sqlite_where=OPEN, postgresql_where=OPEN)


def _fill():
    """Write which lines the months have that were issued: the first that would have taken each."""
    db = op.get_bind()
    names = ('month', 'state', 'cutoff', 'excluded')
    statement = sa.table('statement', *(sa.column(n, sa.JSON if n == 'excluded' else None) for n in names))
    disputed = set(db.scalars(sa.text("SELECT visit_id FROM dispute WHERE state = 'open'")))
    line = sa.table('half_day_line', *(sa.column(n) for n in ('id', 'visit_id', 'home_id', 'host_id', 'month')))
    row = sa.table('statement_line', *(sa.column(n) for n in ('line_id', 'month', 'state')))
    taken = sa.select(row.c.line_id)
    for month in db.execute(sa.select(statement).order_by(statement.c.month)).all():
        free = sa.select(line.c.id, line.c.visit_id).where(
            line.c.month <= month.month, line.c.id <= month.cutoff,
            line.c.home_id != line.c.host_id, line.c.id.not_in(taken))
        found = []
        for line_id, visit_id in db.execute(free).all():
            out = visit_id in month.excluded
            if out and visit_id not in disputed:
                continue
            own = None if out and month.state == 'final' else month.month
            found.append({'line_id': line_id, 'month': own, 'state': 'held' if out else 'counted'})
        if found:
            db.execute(sa.insert(row), found)


def downgrade() -> None:
    raise NotImplementedError('an account is not taken apart again')

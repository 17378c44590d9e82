"""the rest of the identity sheet: special days, facts, access, rooms for visitors, prices for some"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.add_column(sa.Column('special_days', sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
        batch_op.add_column(sa.Column('holidays_region', sa.String(8), nullable=False, server_default=sa.text("''")))
        batch_op.add_column(sa.Column('until', sa.Date(), nullable=True))
        batch_op.add_column(sa.Column('about', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
        batch_op.add_column(sa.Column('access', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
    with op.batch_alter_table('space', schema=None) as batch_op:
        for name in ('special_days', 'about', 'access'):
            batch_op.alter_column(name, existing_type=sa.JSON(), server_default=None)
    with op.batch_alter_table('room', schema=None) as batch_op:
        batch_op.add_column(sa.Column('half_days', sa.JSON(none_as_null=True), nullable=True))
    with op.batch_alter_table('price', schema=None) as batch_op:
        batch_op.add_column(sa.Column('audience', sa.String(20), nullable=False, server_default=sa.text("''")))
    space = sa.table('space', sa.column('id'), sa.column('closings', sa.JSON()), sa.column('special_days', sa.JSON()))
    for row in op.get_bind().execute(sa.select(space.c.id, space.c.closings)).all():
        days = [
            {'from': day, 'to': day, 'yearly': False, 'hours': spans, 'capacity': None, 'label': ''}
            for day, spans in sorted(row.closings.items())
        ]
        op.execute(space.update().where(space.c.id == row.id).values(special_days=days))
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.drop_column('closings')


def downgrade() -> None:
    with op.batch_alter_table('price', schema=None) as batch_op:
        batch_op.drop_column('audience')
    with op.batch_alter_table('room', schema=None) as batch_op:
        batch_op.drop_column('half_days')
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.add_column(sa.Column('closings', sa.JSON(), nullable=False, server_default=sa.text("'{}'")))
        for name in ('access', 'about', 'until', 'holidays_region', 'special_days'):
            batch_op.drop_column(name)

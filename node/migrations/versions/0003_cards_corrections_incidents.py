"""cards on paper, corrections, incidents, a day's pause, the poster"""

import secrets

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('card',
    sa.Column('pass_id', sa.String(64), sa.ForeignKey('pass.id', name=op.f('fk_card_pass_id_pass'), ondelete='CASCADE'), nullable=False),
    sa.Column('pin_hash', sa.String(200), nullable=False),
    sa.Column('tries', sa.Integer(), nullable=False),
    sa.CheckConstraint('tries >= 0', name=op.f('ck_card_tries')),
    sa.PrimaryKeyConstraint('pass_id', name=op.f('pk_card'))
    )
    op.create_table('correction',
    sa.Column('visit_id', sa.String(32), sa.ForeignKey('visit.id', name=op.f('fk_correction_visit_id_visit')), nullable=False),
    sa.Column('reason', sa.String(500), nullable=False),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answer', sa.String(500), nullable=True),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('visit_id', name=op.f('pk_correction'))
    )
    op.create_table('incident',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('space_id', sa.String(64), sa.ForeignKey('space.id', name=op.f('fk_incident_space_id_space')), nullable=False),
    sa.Column('visit_id', sa.String(32), sa.ForeignKey('visit.id', name=op.f('fk_incident_visit_id_visit')), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('text', sa.String(1000), nullable=False),
    sa.Column('by', sa.String(120), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_incident'))
    )
    op.create_index(op.f('ix_incident_space_id'), 'incident', ['space_id'])
    op.create_index(op.f('ix_incident_at'), 'incident', ['at'])
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.add_column(sa.Column('paused_on', sa.Date(), nullable=True))
        batch_op.add_column(sa.Column('poster', sa.String(32), nullable=True))
    space = sa.table('space', sa.column('id', sa.String), sa.column('poster', sa.String))
    for row in op.get_bind().execute(sa.select(space.c.id)).all():
        op.execute(space.update().where(space.c.id == row.id).values(poster=secrets.token_urlsafe(9)))
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.alter_column('poster', existing_type=sa.String(32), nullable=False)
    with op.batch_alter_table('visit', schema=None) as batch_op:
        batch_op.add_column(sa.Column('member_id', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('by_poster', sa.Boolean(), nullable=False, server_default=sa.text('false')))
        batch_op.create_foreign_key(op.f('fk_visit_member_id_member'), 'member', ['member_id'], ['id'])
    op.execute(
        'UPDATE visit SET member_id = (SELECT member_id FROM pass WHERE pass.id = visit.pass_id) WHERE local'
    )
    op.create_index(
        'uq_visit_open_member', 'visit', ['member_id'], unique=True,
        sqlite_where=sa.text("state = 'open'"), postgresql_where=sa.text("state = 'open'"),
    )


def downgrade() -> None:
    op.drop_index('uq_visit_open_member', 'visit')
    with op.batch_alter_table('visit', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('fk_visit_member_id_member'), type_='foreignkey')
        batch_op.drop_column('by_poster')
        batch_op.drop_column('member_id')
    with op.batch_alter_table('space', schema=None) as batch_op:
        batch_op.drop_column('poster')
        batch_op.drop_column('paused_on')
    op.drop_table('incident')
    op.drop_table('correction')
    op.drop_table('card')

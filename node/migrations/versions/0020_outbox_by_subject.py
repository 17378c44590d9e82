"""messages wait for those on their own subject alone, and step aside when stuck"""

import sqlalchemy as sa
from alembic import op

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None

WAITS = sa.text("state IN ('pending', 'stuck')")
OF_PASS = {
    'sqlite': "substr(key, 1, 5 + instr(substr(key, 6), ':') - 1)",
    'postgresql': "'pass:' || split_part(key, ':', 2)",
}


def upgrade() -> None:
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.add_column(sa.Column('subject', sa.String(length=80), nullable=True))
        batch_op.drop_constraint(op.f('ck_outbox_state'), type_='check')
        batch_op.create_check_constraint(op.f('ck_outbox_state'), "state IN ('pending', 'done', 'dead', 'stuck', 'given-up')")
    op.execute(
        "UPDATE outbox SET subject = CASE"
        " WHEN topic IN ('visit', 'check-out', 'void', 'correction/answer') THEN 'visit:' || substr(key, length(topic) + 2)"
        f" WHEN topic = 'pass' THEN {OF_PASS[op.get_bind().dialect.name]}"
        " WHEN topic = 'publication' THEN topic ELSE key END"
    )
    # Until now attempts were also those at which nobody answered.
    op.execute("UPDATE outbox SET attempts = 0 WHERE state = 'pending'")
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.alter_column('subject', existing_type=sa.String(length=80), nullable=False)
    op.create_index('ix_outbox_waits', 'outbox', ['subject', 'id'], sqlite_where=WAITS, postgresql_where=WAITS)
    op.create_index('ix_outbox_done_at', 'outbox', ['done_at'])


def downgrade() -> None:
    op.execute("UPDATE outbox SET state = 'pending' WHERE state = 'stuck'")
    op.execute("UPDATE outbox SET state = 'dead' WHERE state = 'given-up'")
    op.drop_index('ix_outbox_done_at', 'outbox')
    op.drop_index('ix_outbox_waits', 'outbox')
    with op.batch_alter_table('outbox', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('ck_outbox_state'), type_='check')
        batch_op.create_check_constraint(op.f('ck_outbox_state'), "state IN ('pending', 'done', 'dead')")
        batch_op.drop_column('subject')

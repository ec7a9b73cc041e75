import { eq, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/d1';
import { cases, type Database, userId } from './cases.ts';
import { IdleD1, idleKv } from './idle-d1.ts';
import { schema, users } from './schema.ts';
import { open } from './subject.ts';

export interface CpuCase {
  readonly name: string;
  readonly scatter: boolean;
  /** Statements that one operation sends. */
  readonly statements: number;
  readonly plain: Operation;
  readonly sharded: Operation;
}

type Operation = (index: number, unique: string) => Promise<unknown>;

const plain: Database = drizzle(new IdleD1(), { schema });
const sharded: Database = open({ s0: new IdleD1(), s1: new IdleD1(), s2: new IdleD1() }, idleKv(['s0', 's1', 's2']));

export const cpuCases: readonly CpuCase[] = [
  ...cases.map(({ name, run, scatter = false }) => ({
    name,
    scatter,
    statements: name.startsWith('batch of 5') ? 5 : 1,
    plain: (index: number, unique: string) => run(plain, index, unique),
    sharded: (index: number, unique: string) => run(sharded, index, unique),
  })),
  {
    name: 'prepared select by key',
    scatter: false,
    statements: 1,
    plain: prepared(plain),
    sharded: prepared(sharded),
  },
];

function prepared(db: Database): Operation {
  const query = db
    .select()
    .from(users)
    .where(eq(users.id, sql.placeholder('id')))
    .prepare();
  return (index) => query.all({ id: userId(index) });
}

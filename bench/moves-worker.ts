import { subscribe } from 'node:diagnostics_channel';
import { asc, eq, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { cities } from '../schema/index';
import { CHANNELS, type MoveEvent, shardedDrizzle } from '../src/index';

export { ShardCoordinator } from '../src/catalog/coordinator';

/** What the paths take; each its own part. */
interface Body {
  readonly ddl: string[];
  readonly rows: (typeof cities.$inferInsert)[];
  readonly count: number;
  readonly owner: string;
  readonly from: number;
  readonly key: string;
  readonly to: string;
  readonly lo: number;
  readonly hi: number;
  readonly four?: boolean;
  readonly ids: number[];
  readonly seconds: number;
  readonly rate: number;
}

interface Env {
  S0: D1Database;
  S1: D1Database;
  S2: D1Database;
  S3: D1Database;
  COORDINATOR: DurableObjectNamespace;
}

const lines = sqliteTable('lines', {
  id: text('id').primaryKey(),
  owner: text('owner').notNull(),
  amount: integer('amount').notNull(),
  note: text('note').notNull(),
});
const LINES_DDL = [
  'create table lines (id text primary key, owner text not null, amount integer not null, note text not null)',
  'create index lines_owner on lines (owner)',
];
const schema = { cities, lines };

const databasesOf = ({ S0, S1, S2, S3 }: Env, four: boolean): Record<string, D1Database> =>
  four ? { s0: S0, s1: S1, s2: S2, s3: S3 } : { s0: S0, s1: S1, s2: S2 };

const open = (env: Env, four: boolean) =>
  shardedDrizzle({
    schema,
    shards: databasesOf(env, four),
    coordinator: env.COORDINATOR,
    tables: { lines: { key: 'owner' } },
  });
type Database = ReturnType<typeof open>;

/** Milliseconds for which each move kept writers waiting. */
const frozen: number[] = [];
const frozenAt = new Map<string, number>();
subscribe(CHANNELS.move, (message) => {
  const { id, phase } = message as MoveEvent;
  if (phase === 'freeze') frozenAt.set(id, Date.now());
  const since = frozenAt.get(id);
  // CLOSE comes after the answer to THAW.
  if (phase === 'close' && since !== undefined) frozen.push(Date.now() - since);
});

let three: Database | undefined;
let four: Database | undefined;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    const body = request.method === 'POST' ? await request.json<Body>() : ({} as Body);
    try {
      return Response.json((await answer(pathname, body, env)) ?? null);
    } catch (error) {
      return new Response(error instanceof Error ? `${error.stack} ${error.cause}` : String(error), { status: 500 });
    }
  },
} satisfies ExportedHandler<Env>;

async function answer(path: string, body: Body, env: Env): Promise<unknown> {
  const db = () => {
    four ??= open(env, true);
    return four;
  };
  three ??= open(env, false);
  switch (path) {
    case '/tables': {
      const ddl = [...body.ddl, ...LINES_DDL];
      for (const d1 of Object.values(databasesOf(env, true))) await d1.batch(ddl.map((one) => d1.prepare(one)));
      return;
    }
    case '/cities':
      return void (await three.insert(cities).values(body.rows));
    case '/lines':
      return void (await three.insert(lines).values(
        Array.from({ length: body.count }, (_, i) => ({
          id: `${body.owner}-${body.from + i}`,
          owner: body.owner,
          amount: i,
          note: 'x'.repeat(120),
        })),
      ));
    case '/reassign': {
      frozen.length = 0;
      await three.$cluster.reassign(body.key, body.to);
      return frozen;
    }
    case '/slots': {
      frozen.length = 0;
      await three.$cluster.moveSlots({ lo: body.lo, hi: body.hi }, body.to, { rowsPerMove: 5000 });
      return frozen;
    }
    case '/load':
      return load(body.four ? db() : three, body.ids, body.seconds, body.rate);
    case '/rebalance':
      await db().$cluster.addShard('s3');
      return db().$cluster.rebalance({ background: true });
    case '/jobs':
      return (await db().$cluster.jobs())[0];
    case '/verify':
      return db().$cluster.verify();
    default:
      throw new Error(`No such path: ${path}`);
  }
}

/** Statements at a steady rate, whatever becomes of those before: what a user would feel, waits in a queue included. */
async function load(db: Database, ids: readonly number[], seconds: number, rate: number) {
  const latencies: Record<string, number[]> = { read: [], write: [], scatter: [] };
  const errors: string[] = [];
  const pending: Promise<void>[] = [];
  const began = Date.now();
  for (let sent = 0; ; ) {
    const due = Math.floor(((Date.now() - began) / 1000) * rate);
    if (Date.now() - began > seconds * 1000) break;
    for (; sent < due; sent++)
      pending.push(one(db, ids[(sent * 7919) % ids.length] as number, sent, latencies, errors));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await Promise.all(pending);
  return { latencies, errors };
}

async function one(
  db: Database,
  id: number,
  turn: number,
  latencies: Record<string, number[]>,
  errors: string[],
): Promise<void> {
  const kind = turn % 50 === 0 ? 'scatter' : turn % 5 === 0 ? 'write' : 'read';
  const began = Date.now();
  try {
    if (kind === 'read') {
      const found = await db.select().from(cities).where(eq(cities.id, id));
      if (found.length !== 1) errors.push(`${id}: ${found.length} rows`);
    } else if (kind === 'write') {
      await db.update(cities).set({ population: sql`population + 1` }).where(eq(cities.id, id));
    } else {
      await db.select({ id: cities.id }).from(cities).orderBy(asc(cities.id)).limit(20);
    }
    latencies[kind]?.push(Date.now() - began);
  } catch (error) {
    errors.push(error instanceof Error ? `${error.message} ${error.cause}` : String(error));
  }
}

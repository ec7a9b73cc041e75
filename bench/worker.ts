import { drizzle } from 'drizzle-orm/d1';
import { cases, type Database, POSTS_PER_USER, USERS } from './cases.ts';
import { ddl, posts, schema, users } from './schema.ts';
import { open } from './subject.ts';

interface Env {
  PLAIN: D1Database;
  S0: D1Database;
  S1: D1Database;
  S2: D1Database;
}

export type Side = 'plain' | 'sharded';

/** One round: `operations` of one case on one side. Zero operations measure the cost of asking. */
export interface Round {
  readonly side: Side;
  readonly case: string;
  readonly operations: number;
  readonly concurrency: number;
  /** Different in every round. */
  readonly round: number;
}

/** Built once, as an application does in module scope, so that a round finds it warm. */
let sides: Record<Side, Database> | undefined;

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    sides ??= {
      plain: drizzle(env.PLAIN, { schema }),
      sharded: open({ s0: env.S0, s1: env.S1, s2: env.S2 }),
    };
    const { pathname } = new URL(request.url);
    try {
      if (pathname === '/seed') await seed(sides, env);
      else if (pathname === '/clean') await clean(env);
      else await runRound(sides, await request.json<Round>());
      return new Response('ok');
    } catch (error) {
      return new Response(describe(error), { status: 500 });
    }
  },
} satisfies ExportedHandler<Env>;

async function runRound(databases: Record<Side, Database>, round: Round): Promise<void> {
  const found = cases.find(({ name }) => name === round.case);
  if (!found) throw new Error(`No case is called ${round.case}.`);
  const db = databases[round.side];
  await inLanes(round.operations, round.concurrency, (index) =>
    found.run(db, index + round.round * round.operations, `${round.round}-${index}`),
  );
}

async function seed(databases: Record<Side, Database>, env: Env): Promise<void> {
  await Promise.all(Object.values(env).map((d1: D1Database) => d1.batch(ddl.map((sql) => d1.prepare(sql)))));
  for (const db of Object.values(databases)) {
    await inLanes(USERS, 16, (index) => {
      const id = `user-${index}`;
      const rows = Array.from({ length: POSTS_PER_USER }, (_, n) => ({
        id: `${id}-${n}`,
        userId: id,
        title: `Post ${n}`,
      }));
      return db.batch([
        db.insert(users).values({ id, name: `Name ${(index * 31) % USERS}`, email: `${id}@example.com` }),
        ...rows.map((row) => db.insert(posts).values(row)),
      ]);
    });
  }
}

/** Takes out what the insert case put in, so that the tables keep their size. */
async function clean(env: Env): Promise<void> {
  await Promise.all(
    Object.values(env).map((d1: D1Database) => d1.prepare("delete from users where id like 'new-%'").run()),
  );
}

/** Calls `task` for 0 to `count - 1`, `lanes` at a time. */
async function inLanes(count: number, lanes: number, task: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message} (${describe(error.cause)})`;
}

import { shardedDrizzle } from '../src/index';

interface Env {
  S0: D1Database;
  S1: D1Database;
  S2: D1Database;
}

const CHILDREN = [1, 2, 3, 4];
const ROWS_PER_STATEMENT = 25_000;
const tables = Object.fromEntries(CHILDREN.map((n) => [`child${n}`, { key: 'user_id' }]));

const open = ({ S0, S1, S2 }: Env) => shardedDrizzle({ shards: { s0: S0, s1: S1, s2: S2 }, tables });

/** Rows as of a grown database: users, and four tables of theirs, one of them without an index on its key. */
async function fill(d1: D1Database, prefix: string, rowsPerTable: number, firstId: number): Promise<void> {
  const counter = (from: number) =>
    `with recursive n(i) as (select ${from} union all select i + 1 from n where i < ${Math.min(from + ROWS_PER_STATEMENT, rowsPerTable) - 1})`;
  for (let from = 0; from < rowsPerTable; from += ROWS_PER_STATEMENT) {
    await d1.prepare(`insert into users ${counter(from)} select '${prefix}-' || i, 'name ' || i from n`).run();
    for (const n of CHILDREN) {
      await d1
        .prepare(
          `insert into child${n} ${counter(from)} select ${firstId} + i, '${prefix}-' || (i * 7 % ${rowsPerTable}), 'value ' || i from n`,
        )
        .run();
    }
  }
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === '/fill') {
      const { rowsPerTable } = await request.json<{ rowsPerTable: number }>();
      for (const d1 of [env.S0, env.S1, env.S2]) {
        await d1.batch(
          [
            'create table users (id text primary key, name text)',
            ...CHILDREN.map((n) => `create table child${n} (id integer primary key, user_id text not null, v text)`),
            ...CHILDREN.slice(1).map((n) => `create index child${n}_user on child${n} (user_id)`),
          ].map((sql) => d1.prepare(sql)),
        );
      }
      await fill(env.S0, 'east', rowsPerTable / 2, 0);
      await fill(env.S1, 'west', rowsPerTable / 2, 1e9);
      return Response.json({});
    }
    const db = open(env);
    if (pathname === '/adopt') return Response.json(await db.$cluster.adopt());
    const { keys } = await request.json<{ keys: string[] }>();
    const began = performance.now();
    for (const key of keys) {
      const row = await db.$client.prepare('select name from users where id = ?').bind(key).first();
      if (!row) throw new Error(`${key} is not found`);
    }
    return Response.json({ milliseconds: (performance.now() - began) / keys.length });
  },
};

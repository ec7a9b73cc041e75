import { beforeAll, describe, expect, it } from 'vitest';
import { GatherLimitError, type QueryLimitError, shardedDrizzle } from '../src';
import { InterceptedD1 } from './support/intercepted-d1';
import { resetDatabases } from './support/reset';
import { runEverywhere } from './support/seed';
import { shards } from './support/shards';

const COUNT = 5;
const open = (limits: object) =>
  shardedDrizzle({ shards: shards(COUNT), limits, tables: { posts: { key: 'author' } } });

beforeAll(async () => {
  await resetDatabases();
  await runEverywhere(shards(COUNT), [
    'create table people (id text primary key, name text)',
    'create table posts (id text primary key, author text not null, title text)',
  ]);
  const db = open({});
  for (let i = 0; i < 30; i++) {
    await db.$client
      .prepare('insert into people values (?, ?)')
      .bind(`u${i}`, `name ${i % 7}`)
      .run();
    await db.$client
      .prepare('insert into posts values (?, ?, ?)')
      .bind(`p${i}`, `u${i % 9}`, `name ${i % 5}`)
      .run();
  }
});

const refusalOf = (promise: Promise<unknown>): Promise<QueryLimitError> =>
  promise.then(
    () => expect.fail('it was not refused'),
    (error) => error.cause ?? error,
  );

describe('limits.queries', () => {
  it('counts what a page that is not filled takes besides', async () => {
    const sql = 'select p.id from posts p join people a on a.id = p.title order by p.id limit 3';
    // The tables are weighed before they are fetched whole.
    const queries = 4 * COUNT + 2 + 5 * COUNT + 2;
    expect((await open({ queries }).$client.prepare(sql).all()).results).toEqual([]);
    const error = await refusalOf(
      open({ queries: queries - 1 })
        .$client.prepare(sql)
        .all(),
    );
    expect(error).toMatchObject({ code: 'QUERY_LIMIT', tables: ['posts', 'people'] });
  });

  it.each([
    ['a read of all shards', 'select * from people', 2 * COUNT],
    ['a read of one', "select * from people where id = 'u1'", 2],
    [
      'rows that are fetched and finished',
      'select count(*) from people a join people b on a.name = b.name',
      3 * COUNT + 2,
    ],
    [
      'rows that others name',
      "select a.id from people a join posts p on p.title = a.name where p.title = 'name 1'",
      5 * COUNT + 2,
    ],
    ['a write to all shards, tried first', "update people set name = 'x' where name = 'y'", 4 * COUNT],
  ])('knows before it runs how many %s takes', async (_, sql, queries) => {
    expect((await open({}).$explain({ sql })).queries).toBe(queries);
    const enough = open({ queries }).$client.prepare(sql);
    await (sql.startsWith('select') ? enough.all() : enough.run());
    if (queries === 2) return;
    const few = open({ queries: queries - 1 });
    const error = await refusalOf(few.$client.prepare(sql).all());
    expect(error).toMatchObject({ code: 'QUERY_LIMIT', tables: expect.arrayContaining(['people']) });
    expect(error.message).toContain(
      `up to ${queries} queries on ${COUNT} shards, more than limits.queries (${queries - 1})`,
    );
  });

  it('writes nothing of an insert, or of a batch, that needs more', async () => {
    const db = open({ queries: 9, crossShardBatch: 'per-shard' });
    const values = Array.from({ length: 40 }, (_, i) => `('n${i}', 'new')`).join(', ');
    await refusalOf(db.$client.prepare(`insert into people values ${values}`).run());
    const many = Array.from({ length: 12 }, (_, i) =>
      db.$client.prepare('insert into people values (?, ?)').bind(`m${i}`, 'new'),
    );
    await refusalOf(db.$client.batch(many));
    expect(await open({}).$client.prepare("select count(*) as n from people where name = 'new'").first('n')).toBe(0);
  });
});

describe('limits.gatherRows and gatherBytes', () => {
  const join = 'select count(*) from people a join people b on a.name = b.name';

  it.each([
    [{ gatherRows: 29 }, { gatherRows: 30 }],
    [{ gatherBytes: 250 }, { gatherBytes: 3000 }],
  ])('refuse %o, and say what would make it smaller', async (few, enough) => {
    const error = await refusalOf(open(few).$client.prepare(join).all());
    expect(error).toBeInstanceOf(GatherLimitError);
    expect(error.message).toContain('Add a condition on people alone');
    expect((await open(enough).$client.prepare(join).all()).results).toHaveLength(1);
  });

  it('are compared before any row has come', async () => {
    let came = 0;
    const counted = Object.entries(shards(COUNT)).map(([name, database]) => [
      name,
      new InterceptedD1(database, async (call, run) => {
        const answer = await run();
        const isFetch = (at: number) => call.statements[at]?.sql.includes('__shard_r0') ?? false;
        const results = Array.isArray(answer) ? (answer as D1Result[]) : [];
        for (const [at, { results: rows }] of results.entries()) if (isFetch(at)) came += rows.length;
        return answer;
      }),
    ]);
    const db = shardedDrizzle({
      shards: Object.fromEntries(counted) as Record<string, D1Database>,
      limits: { gatherBytes: 12, gatherRows: 20 },
      tables: { posts: { key: 'author' } },
    });
    await refusalOf(db.$client.prepare(join).all());
    expect(came).toBeLessThan(30);
    // A page as long as all rows is no way round.
    const page = 'select a.id, b.id from people a left join people b on a.name = b.name order by a.id limit 1000000';
    came = 0;
    expect(await refusalOf(db.$client.prepare(page).all())).toBeInstanceOf(GatherLimitError);
    expect(came).toBeLessThan(30 + 2 * COUNT);
  });

  it('count only the rows that others name', async () => {
    const sql = "select p.id from posts p join people a on p.title = a.name where p.id = 'p3' order by 1";
    expect((await open({ gatherRows: 6 }).$client.prepare(sql).all()).results).toHaveLength(4);
  });
});

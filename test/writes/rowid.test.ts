import { beforeAll, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { failureOf } from '../placement/fixture';
import { resetDatabases } from '../support/reset';
import { run } from '../support/seed';
import { shards } from '../support/shards';

const COUNT = 3;
const TABLES = [
  'create table orders (id integer primary key, status text)',
  'create table notes (id integer primary key, author text not null, text text unique)',
];
const open = () => shardedDrizzle({ shards: shards(COUNT), tables: { notes: { key: 'author' } } });

beforeAll(async () => {
  await resetDatabases();
  for (const database of Object.values(shards(COUNT))) await run(database, TABLES);
});

it('rows whose INTEGER PRIMARY KEY is given as rowid are where their key says', async () => {
  const db = open();
  const exec = (sql: string, ...params: unknown[]) =>
    db.$client
      .prepare(sql)
      .bind(...params)
      .run();
  for (let i = 0; i < 12; i++) {
    const name = ['rowid', 'oid', '_rowid_', '"RowId"'][i % 4];
    await exec(`insert into orders (${name}, status) values (?, 'a'), (${i + 200}, 'b')`, String(i + 100));
  }
  await exec('insert into orders (rowid, status) select id + 1000, status from orders');
  const ids = [...Array(12).keys()].flatMap((i) => [i + 100, i + 200, i + 1100, i + 1200]);
  for (const id of ids) {
    const owner = await db.$forKey(id as never);
    const { results } = await (owner as unknown as { $client: D1Database }).$client
      .prepare('select id from orders where id = ?')
      .bind(id)
      .all();
    expect(results, `${id}`).toHaveLength(1);
  }
});

it('the key is not changed under the name rowid', async () => {
  const db = open();
  const exec = (sql: string) => db.$client.prepare(sql).run();
  await exec("insert into orders (id, status) values (1, 'x')");
  const changes = [
    'update orders set rowid = 500 where id = 1',
    'update orders set status = 1, _rowid_ = 500',
    "insert into orders (id, status) values (1, 'y') on conflict (id) do update set oid = 500",
  ];
  for (const sql of changes) expect(await failureOf(exec(sql)), sql).toMatchObject({ code: 'SHARD_KEY_CHANGE' });
  await exec('update orders set rowid = 1, status = 7 where id = 1');
  // An id that a row of another shard may have.
  await expect(exec("update or replace notes set rowid = 5 where author = 'a'")).rejects.toThrow('another shard');
});

import { beforeEach, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { resetDatabases } from '../support/reset';
import { run } from '../support/seed';
import { shards } from '../support/shards';

const TABLES = [
  'create table notes (id integer primary key, author text not null, text text)',
  'create table authors (id text primary key, place integer)',
];
const AUTHORS = ['ada', 'bob', 'cyd', 'dan', 'eve', 'fay'];
const open = () => shardedDrizzle({ shards: shards(3), tables: { notes: { key: 'author' } } });

beforeEach(async () => {
  await resetDatabases();
  for (const database of Object.values(shards(3))) await run(database, TABLES);
});

it('a batch may insert computed ids', async () => {
  const { $client } = open();
  await $client.prepare("insert into authors values ('ada', 1)").run();
  await $client.prepare("insert into notes (author) values ('ada')").run();
  const batch = [
    "insert into notes (id, author) values (20 + 3, 'ada')",
    "insert into notes (id, author) select 30 + place, id from authors where id = 'ada'",
  ];
  await $client.batch(batch.map((sql) => $client.prepare(sql)));
  for (let i = 0; i < 40; i++) await $client.prepare("insert into notes (author) values ('bob')").run();
  const { results } = await $client.prepare('select count(*) as n, count(distinct id) as d from notes').all();
  expect(results).toEqual([{ n: 43, d: 43 }]);
});

it.each([
  'insert into notes (id, author, text) select 20 + place, id, 1 from authors',
  'insert into notes (id, author, text) select ?1 + place, id, 1 from authors where place >= 0',
  'insert into notes select 20 + place, id, 1 from authors',
  'insert into notes (id, author) with a as (select * from authors) select 20 + place, id from a',
  'with a as (select * from authors) insert into notes (id, author) select 20 + place, id from a',
  'insert into notes select * from (select 20 + place, id, 1 from authors)',
  "insert into notes (id, author) select 20 + max(place), 'ada' from authors where id = 'ada'",
  "insert into notes (id, author) select 20 + place, id from authors where id = 'fay'",
  "insert into notes (id, author) values (10 + 10, 'ada'), (?1 + 5, 'fay')",
  "insert into notes (rowid, author) values (10 + 10, 'ada')",
  "insert or ignore into notes (id, author) select 20 + place, 'u' || id from authors",
])('the sequence goes on above computed ids: %s', async (sql) => {
  const { $client } = open();
  const list = AUTHORS.map((name, i) => `('${name}', ${i})`).join(', ');
  await $client.prepare(`insert into authors values ${list}`).run();
  // The sequence begins, and this isolate holds numbers of it.
  await $client.prepare("insert into notes (author) values ('ada')").run();
  const statement = $client.prepare(sql);
  if (sql.startsWith('insert or ignore')) await expect(statement.run()).rejects.toThrow('another shard');
  else expect((await (sql.includes('?1') ? statement.bind(20) : statement).run()).meta.changes).toBeGreaterThan(0);
  for (let i = 0; i < 40; i++) {
    const author = AUTHORS[i % AUTHORS.length];
    await $client.prepare('insert into notes (author) values (?)').bind(author).run();
  }
  const twice = await $client.prepare('select id from notes group by id having count(*) > 1').all();
  expect(twice.results).toEqual([]);
});

import { beforeEach, describe, expect, it } from 'vitest';
import { countingD1, countingShards } from './counting-d1';
import { failTimes, faultyD1 } from './faulty-d1';
import { resetDatabases } from './reset';
import { rowsPerShard, run, runEverywhere } from './seed';
import { MAX_SHARDS, plain, shards } from './shards';

const schema = [
  'create table users (id text primary key, name text not null)',
  'create table posts (id text primary key, user_id text not null references users (id))',
];

beforeEach(resetDatabases);

describe('databases', () => {
  it('are separate, and start empty in each test', async () => {
    const three = shards(3);
    await runEverywhere(three, schema);
    await run(three.s1 as D1Database, ["insert into users values ('a', 'Ada')"]);
    expect(await rowsPerShard(three, 'users')).toEqual({ s0: 0, s1: 1, s2: 0 });
    expect(await plain.prepare('select count(*) as n from users').first('n')).toBe(0);
  });

  it('are emptied whatever their foreign keys, views and virtual tables', async () => {
    const all = shards(MAX_SHARDS);
    await runEverywhere(all, [
      ...schema,
      'create view names as select name from users',
      'create virtual table search using fts5 (body)',
      "insert into users values ('a', 'Ada')",
      "insert into posts values ('p', 'a')",
    ]);
    await resetDatabases();
    for (const database of [plain, ...Object.values(all)]) {
      const { results } = await database
        .prepare("select name from sqlite_master where name not glob 'sqlite_*' and name not glob '_cf_*'")
        .all();
      expect(results).toEqual([]);
    }
  });
});

describe('countingD1', () => {
  it('counts calls, statements and batches', async () => {
    const database = countingD1(plain);
    await database.batch([database.prepare('select 1'), database.prepare('select ?').bind('x')]);
    expect(await database.prepare('select ? as v').bind('y').raw()).toEqual([['y']]);
    expect(await database.prepare('select 2 as v').first('v')).toBe(2);
    await database.exec('select 3');
    await database.withSession().prepare('select 4').all();
    expect(database.counts).toMatchObject({ calls: 5, batches: 1, statements: 6, inFlight: 0, maxInFlight: 1 });
    expect(database.counts.log[0]?.statements[1]?.params).toEqual(['x']);
  });

  it('sees how many calls are under way over all shards', async () => {
    const { shards: three, total, perShard } = countingShards(shards(3));
    await Promise.all(Object.values(three).map((database) => database.prepare('select 1').all()));
    expect(total).toMatchObject({ calls: 3, maxInFlight: 3 });
    expect(perShard.s2).toMatchObject({ calls: 1, maxInFlight: 1 });
  });
});

describe('faultyD1', () => {
  it('fails a whole batch for one statement, and then no more', async () => {
    await run(plain, schema);
    const database = faultyD1(plain, { failOn: failTimes(1, 'posts', 'Network connection lost') });
    const insert = () =>
      database.batch([
        database.prepare("insert into users values ('a', 'Ada')"),
        database.prepare("insert into posts values ('p', 'a')"),
      ]);
    await expect(insert()).rejects.toThrow('Network connection lost');
    expect(await rowsPerShard({ plain }, 'users')).toEqual({ plain: 0 });
    await insert();
    expect(await rowsPerShard({ plain }, 'posts')).toEqual({ plain: 1 });
  });

  it('loses the answer of work that was done', async () => {
    await run(plain, schema);
    const database = faultyD1(plain, { failOn: failTimes(1, 'insert', 'lost'), when: 'after', latency: 1 });
    await expect(database.prepare("insert into users values ('a', 'Ada')").run()).rejects.toThrow('lost');
    expect(await rowsPerShard({ plain }, 'users')).toEqual({ plain: 1 });
  });
});

import { eq, sql } from 'drizzle-orm';
import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { shardedDrizzle } from '../../src';
import { failureOf } from '../placement/fixture';
import { Fleet, type Isolate, rowsEverywhere } from '../support/isolates';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull() });
const posts = sqliteTable('posts', {
  id: integer('id').primaryKey(),
  userId: text('user_id').notNull(),
  body: text('body'),
});
/** Integer ids that are the shard key, in a keyspace of their own. */
const logs = sqliteTable('logs', { id: integer('id').primaryKey(), line: text('line') });
const countries = sqliteTable('countries', { code: text('code').primaryKey(), name: text('name') });
const schema = { users, posts, logs, countries };

const DDL = [
  'create table users (id text primary key, name text not null)',
  'create table posts (id integer primary key, user_id text not null, body text)',
  'create index posts_user on posts (user_id)',
  'create table logs (id integer primary key, line text)',
  'create table countries (code text primary key, name text)',
];

const open = ({ config }: Pick<Isolate, 'config'>, shardedLogs = true) =>
  shardedDrizzle({
    ...config,
    schema,
    tables: {
      posts: { key: 'userId' },
      logs: shardedLogs ? { keyspace: 'logs' } : { shard: 's0' },
      countries: { replicated: true },
    },
  });

async function run(shard: string, ...statements: string[]): Promise<void> {
  const d1 = shards(3)[shard] as D1Database;
  await d1.batch(statements.map((one) => d1.prepare(one)));
}

const everything = async () =>
  JSON.stringify(
    await rowsEverywhere(
      'select (select group_concat(name) from (select name from sqlite_master order by name)) as tables, (select count(*) from users) as users, (select count(*) from posts) as posts, (select count(*) from logs) as logs',
      shards(3),
    ),
  );

describe('two databases that counted from 1', () => {
  let fleet: Fleet;
  beforeEach(async () => {
    await resetDatabases();
    for (const shard of ['s0', 's1', 's2']) await run(shard, ...DDL);
    await run(
      's0',
      "insert into users values ('ada', 'Ada'), ('eve', 'Eve of east')",
      "insert into posts values (1, 'ada', 'a1'), (2, 'eve', 'e1')",
      "insert into logs values (1, 'east 1'), (2, 'east 2'), (3, 'east 3')",
      "insert into countries values ('nl', 'Netherlands')",
    );
    await run(
      's1',
      "insert into users values ('bob', 'Bob'), ('eve', 'Eve of west')",
      "insert into posts values (1, 'bob', 'b1'), (2, 'eve', 'e2'), (7, 'eve', 'e3')",
      "insert into logs values (1, 'west 1'), (2, 'west 2'), (9, 'west 9')",
      "insert into countries values ('nl', 'Netherlands')",
    );
    fleet = new Fleet('first D1');
  });

  it('are looked at without changing anything', async () => {
    const before = await everything();
    const { $cluster } = open(fleet.isolate());
    const plan = await $cluster.planAdoption();
    expect(plan.conflicts).toEqual([
      { keyspace: 'default', count: 1, examples: [{ value: 'eve', shards: ['s0', 's1'] }] },
      {
        keyspace: 'logs',
        count: 2,
        examples: [
          { value: '1', shards: ['s0', 's1'] },
          { value: '2', shards: ['s0', 's1'] },
        ],
      },
    ]);
    expect(plan.sharedIds).toMatchObject([{ table: 'posts', column: 'id', count: 2 }]);
    expect(plan.issues).toEqual([]);
    expect(plan.tables).toContainEqual({ shard: 's1', table: 'posts', rows: 3 });
    expect(plan.text).toContain("1 keys of default have rows in several databases: 'eve' (s0, s1)");
    expect(await everything()).toBe(before);
  });

  it('are told of what the schema and the databases do not have in common', async () => {
    await run(
      's0',
      'alter table users add column nick text',
      'create table lists (a text, b text)',
      "insert into lists values ('a', 'b')",
    );
    await run('s1', 'drop table logs', 'drop index posts_user');
    const { issues } = await open(fleet.isolate()).$cluster.planAdoption();
    expect(issues.map(({ kind, table, shards: where }) => `${kind} ${table} ${where.join()}`).sort()).toEqual([
      'missing-table logs s1',
      'no-index posts s1',
      'no-key lists s0',
      'other-columns users s0,s1,s2',
      'unknown-column users s0',
      'unknown-table lists s0',
    ]);
  });

  it('keep the rows of one, and what the other had is set aside', async () => {
    const db = open(fleet.isolate());
    await db.$cluster.adopt();
    expect(await failureOf(db.select().from(users).where(eq(users.id, 'eve')))).toMatchObject({
      code: 'ADOPTION_CONFLICT',
    });
    // Nothing says what becomes of the posts of the one that has to go.
    expect(await db.$cluster.resolveConflicts({ users: { prefer: 's1' } })).toMatchObject({
      keys: 0,
      setAside: [],
      undecided: expect.arrayContaining([{ keyspace: 'default', key: 'eve', table: 'posts' }]),
    });
    const report = await db.$cluster.resolveConflicts({ users: { prefer: 's1' }, posts: { prefer: 's1' } });
    expect(report).toMatchObject({ keys: 1, renumbered: [] });
    expect(report.setAside).toEqual([
      { shard: 's0', table: 'posts', rows: 1 },
      { shard: 's0', table: 'users', rows: 1 },
    ]);
    const other = open(fleet.isolate());
    expect(await other.select().from(users).where(eq(users.id, 'eve'))).toEqual([{ id: 'eve', name: 'Eve of west' }]);
    expect(await other.$count(posts, eq(posts.userId, 'eve'))).toBe(2);
    expect(await other.$count(users)).toBe(3);
    expect(
      await rowsEverywhere('select tbl, key, "row" from _shard_set_aside order by tbl', {
        s0: shards(1).s0 as D1Database,
      }),
    ).toEqual([
      { shard: 's0', tbl: 'posts', key: 'eve', row: '[2,"eve","e1"]' },
      { shard: 's0', tbl: 'users', key: 'eve', row: '["eve","Eve of east"]' },
    ]);
    await other.update(users).set({ name: 'Eve' }).where(eq(users.id, 'eve'));
    expect(await db.$cluster.resolveConflicts({ users: { prefer: 's1' } })).toMatchObject({ keys: 0, setAside: [] });
    expect((await other.$cluster.adoption()).conflicts.map(({ keyspace }) => keyspace)).toEqual(['logs', 'logs']);
  });

  it('get new ids, where nothing refers to them', async () => {
    const db = open(fleet.isolate());
    await db.$cluster.adopt();
    const report = await db.$cluster.resolveConflicts({
      logs: 'renumber',
      posts: 'renumber',
      users: { prefer: 's0' },
    });
    // A new id of a post does not say whose it is.
    expect(report.undecided).toEqual([{ keyspace: 'default', key: 'eve', table: 'posts' }]);
    expect(report.keys).toBe(2);
    expect(report.setAside).toEqual([]);
    const other = open(fleet.isolate());
    const lines = await other.select().from(logs).orderBy(logs.id);
    expect(lines.map(({ line }) => line).sort()).toEqual(['east 1', 'east 2', 'east 3', 'west 1', 'west 2', 'west 9']);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(6);
    for (const { id, line } of lines)
      expect(await other.select().from(logs).where(eq(logs.id, id))).toEqual([{ id, line }]);
    expect(lines.find(({ line }) => line === 'east 1')?.id).toBe(1);
    const ids = (await rowsEverywhere<{ id: number }>('select id from posts', shards(3))).map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    await other.insert(logs).values({ line: 'new' });
    expect(await other.$count(logs)).toBe(7);
  });

  it('can be moved when they are decided', async () => {
    const db = open(fleet.isolate());
    await db.$cluster.adopt();
    await db.$cluster.resolveConflicts({ logs: 'renumber', posts: { prefer: 's0' }, users: { prefer: 's0' } });
    await db.$cluster.resolveConflicts({ posts: 'renumber' });
    await db.$cluster.addShard('s2');
    await db.$cluster.rebalance();
    await db.$cluster.reassign('eve', 's2');
    expect(await db.select().from(users).where(eq(users.id, 'eve'))).toEqual([{ id: 'eve', name: 'Eve of east' }]);
    expect(await db.$count(logs)).toBe(6);
    expect(await db.select({ n: sql<number>`count(*)` }).from(posts)).toEqual([{ n: 3 }]);
    expect((await db.$cluster.verify()).findings.filter(({ kind }) => kind !== 'replica')).toEqual([]);
  });

  it.each([
    [{ nothing: 'renumber' }, 'nothing'],
    [{ users: 'renumber' }, 'INTEGER PRIMARY KEY'],
    [{ users: { prefer: 'nowhere' } }, 'nowhere'],
  ] as const)('is told of a rule that cannot be: %j', async (rules, said) => {
    const db = open(fleet.isolate());
    await db.$cluster.adopt();
    const error = await failureOf(db.$cluster.resolveConflicts(rules as never));
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining(said) });
  });

  it('get no new ids where a table refers to them', async () => {
    for (const shard of ['s0', 's1', 's2'])
      await run(shard, 'create table tags (id text primary key, log integer references logs (id))');
    const db = open(fleet.isolate());
    const error = await failureOf(db.$cluster.adopt().then(() => db.$cluster.resolveConflicts({ logs: 'renumber' })));
    expect(error).toMatchObject({ code: 'CONFIG', message: expect.stringContaining('tags refers to logs') });
  });
});

describe('tables that are whole somewhere', () => {
  beforeEach(async () => {
    await resetDatabases();
    for (const shard of ['s0', 's1', 's2']) await run(shard, ...DDL);
  });

  it('are refused when they differ: on every shard', async () => {
    await run('s0', "insert into countries values ('nl', 'Netherlands')");
    await run('s1', "insert into countries values ('nl', 'Holland')");
    const error = await failureOf(open(new Fleet('first D1').isolate()).select().from(users));
    expect(error).toMatchObject({ code: 'ADOPTION_CONFLICT', message: expect.stringContaining('countries') });
  });

  it('are refused when a database that comes with rows has none of them: on every shard', async () => {
    await run('s0', "insert into countries values ('nl', 'Netherlands')", "insert into users values ('ada', 'Ada')");
    await run('s1', "insert into users values ('bob', 'Bob')");
    const error = await failureOf(open(new Fleet('first D1').isolate()).select().from(users));
    expect(error).toMatchObject({
      code: 'ADOPTION_CONFLICT',
      message: expect.stringContaining('s1 has no rows of it'),
    });
  });

  it.each([
    ['none', "delete from countries where code = 'nl'"],
    ['others', "insert into countries values ('nl', 'Holland')"],
  ])('are refused when a database that joins later with rows has %s of them', async (_, statement) => {
    const fleet = new Fleet('first D1');
    const { config } = fleet.isolate(2);
    await open({ config }).insert(countries).values({ code: 'nl', name: 'Netherlands' });
    await run('s2', "insert into users values ('bob', 'Bob')", statement);
    const error = await failureOf(open(fleet.isolate()).select().from(users));
    expect(error).toMatchObject({ code: 'ADOPTION_CONFLICT', message: expect.stringMatching('countries.*s2') });
    await run('s2', "insert or replace into countries values ('nl', 'Netherlands')");
    expect(await open(fleet.isolate()).select().from(users)).toHaveLength(1);
  });

  it('are refused when another database has rows: on one shard', async () => {
    await run('s1', "insert into logs values (1, 'hidden')");
    const error = await failureOf(open(new Fleet('first D1').isolate(), false).select().from(users));
    expect(error).toMatchObject({ code: 'ADOPTION_CONFLICT', message: expect.stringContaining('logs is whole on s0') });
  });

  it('are copied to databases without them before those own anything', async () => {
    await run('s0', "insert into countries values ('nl', 'Netherlands')", "insert into users values ('ada', 'Ada')");
    const db = open(new Fleet('first D1').isolate());
    for (let i = 0; i < 6; i++)
      expect(await db.select().from(countries)).toEqual([{ code: 'nl', name: 'Netherlands' }]);
    expect((await db.$cluster.shards()).map(({ state }) => state)).toEqual(['active', 'adding', 'adding']);
    await db.$cluster.addShard('s1');
    await db.$cluster.addShard('s2');
    await db.$cluster.rebalance();
    expect((await rowsEverywhere('select code from countries', shards(3))).length).toBe(3);
    expect(await db.select().from(users)).toHaveLength(1);
    expect((await db.$cluster.verify()).text).toContain('all is well');
  });
});

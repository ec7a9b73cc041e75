import { sql } from 'drizzle-orm';
import { check, foreignKey, index, integer, sqliteTable, sqliteView, text, uniqueIndex } from 'drizzle-orm/sqlite-core';
import { describe, expect, it, vi } from 'vitest';
import { applyPush, groupByStatements, PushFailedError, PushRefusedError, planPush } from '../../../src/cli/push';
import { shardedDrizzle } from '../../../src/index';
import { InterceptedD1 } from '../../../src/testing/intercepted-d1';
import { type Name, rowsOf, run, useDatabases } from './databases';

const databases = useDatabases();
const shardsOf = () => ({ s0: databases.s0, s1: databases.s1, s2: databases.s2 });
const plan = (schema: Record<string, unknown>, isOwn?: (name: string) => boolean) =>
  planPush({ shards: shardsOf(), schema, scratch: databases.scratch, ...(isOwn ? { isOwn } : {}) });
const onAll = (...statements: string[]) => Promise.all(Object.values(shardsOf()).map((d1) => run(d1, ...statements)));
const push = async (schema: Record<string, unknown>, force = false) =>
  applyPush(await plan(schema), { shards: shardsOf(), force });
const open = (schema: Record<string, unknown>) =>
  shardedDrizzle({ schema, shards: shardsOf(), tables: { users: { key: 'id' }, posts: { key: 'author' } } });

const users = sqliteTable('users', { id: text('id').primaryKey(), name: text('name') });
const posts = sqliteTable(
  'posts',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    author: text('author').references(() => users.id, { onDelete: 'cascade' }),
    stars: integer('stars').notNull().default(0),
  },
  (t) => [index('posts_author').on(t.author), check('positive', sql`${t.stars} >= 0`)],
);
const adults = sqliteView('adults').as((q) => q.select({ id: users.id }).from(users));
const schema = { users, posts, adults };

const USERS = 'create table users (id text primary key not null, name text)';
const ROWS = [
  "insert into users values ('a', 'Ann'), ('b', 'Bob')",
  "insert into posts (id, author) values (3, 'a'), (9, 'b')",
  'delete from posts where id = 9',
];

describe('a plan', () => {
  it('makes everything on fresh shards, and then finds nothing left to do', async () => {
    const written = vi.spyOn(process.stdout, 'write');
    const fresh = await plan(schema);
    const [group, ...more] = groupByStatements(fresh.shards);
    expect(more).toEqual([]);
    expect(group).toMatchObject({ shards: ['s0', 's1', 's2'], warnings: [], dataLoss: [], obstacles: [] });
    expect(group?.statements.map((one) => one.split(/\s+/).slice(0, 3).join(' '))).toEqual([
      'CREATE TABLE `posts`',
      'CREATE TABLE `users`',
      'CREATE INDEX `posts_author`',
      'CREATE VIEW `adults`',
    ]);
    const { shards } = await applyPush(fresh, { shards: shardsOf() });
    expect(shards.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
    expect((await push(schema)).shards.map(({ state }) => state)).toEqual(['current', 'current', 'current']);
    expect(written).not.toHaveBeenCalled();
    written.mockRestore();
  });

  it('shows shards apart that differ', async () => {
    await push(schema);
    await run(databases.s1, 'drop index posts_author', 'alter table users add age integer');
    const insteadOf = 'create trigger renamed instead of delete on adults begin select 1; end';
    await run(
      databases.s2,
      'drop view adults',
      'create view adults as select 1',
      insteadOf,
      'create index extra on users (name)',
    );
    const groups = groupByStatements((await plan(schema)).shards);
    expect(groups.map(({ shards, statements }) => [shards, statements])).toEqual([
      [['s0'], []],
      [['s1'], ['ALTER TABLE "users" DROP COLUMN "age"', 'CREATE INDEX `posts_author` ON `posts` (`author`)']],
      [
        ['s2'],
        [
          'DROP TRIGGER "renamed"',
          'DROP VIEW "adults"',
          'DROP INDEX "extra"',
          expect.stringContaining('CREATE VIEW `adults`'),
          expect.stringMatching(/^create trigger renamed/i),
        ],
      ],
    ]);
    await push(schema);
    expect(groupByStatements((await plan(schema)).shards)).toHaveLength(1);
  });

  it("leaves alone what is not the schema's, and what Drizzle does not know", async () => {
    await push(schema);
    await onAll(
      'create table _shard_extra (id)',
      'create table __drizzle_migrations (id)',
      'create table d1_migrations (id)',
      'create table legacy_notes (id integer)',
      'create virtual table search using fts5(name)',
      'create trigger search_users after insert on users begin insert into search (name) values (new.name); end',
    );
    const isOwn = (name: string) => !name.startsWith('legacy_');
    expect((await plan(schema, isOwn)).shards.flatMap(({ statements }) => statements)).toEqual([]);
    expect((await plan(schema)).shards[0]).toMatchObject({
      statements: ['PRAGMA defer_foreign_keys = on', 'DROP TABLE "legacy_notes"'],
      dataLoss: ['table legacy_notes with 0 rows is not in the schema, and is dropped'],
    });
  });

  it('needs a schema', async () => {
    await expect(plan({})).rejects.toMatchObject({ code: 'CONFIG' });
  });
});

describe('what loses data', () => {
  const { name: _gone, ...kept } = { id: text('id').primaryKey(), name: text('name') };
  const without = { users: sqliteTable('users', kept) };

  it('is refused without force, and nothing is changed', async () => {
    await onAll(USERS, 'create table old (id integer)');
    await run(databases.s1, "insert into users values ('a', 'Ann')", 'insert into old values (1)');
    const before = await everything();
    const error = await push(without).catch((one: unknown) => one);
    expect(error).toBeInstanceOf(PushRefusedError);
    const { message, groups } = error as PushRefusedError;
    expect(message).toContain('- s0, s2: table old with 0 rows is not in the schema, and is dropped');
    expect(message).toContain('- s1: table old with 1 rows is not in the schema, and is dropped');
    expect(message).toContain('- s1: column users.name is dropped, in 1 rows');
    expect(groups[1]?.statements).toContain('ALTER TABLE "users" DROP COLUMN "name"');
    expect(await everything()).toEqual(before);
    await push(without, true);
    expect(await rowsOf(databases.s1, 'select * from users')).toEqual([{ id: 'a' }]);
    expect((await push(without)).shards[0]?.state).toBe('current');
  });

  it('is also a type that converts values', async () => {
    await onAll(USERS);
    await run(databases.s0, "insert into users values ('a', '007')");
    const counted = { users: sqliteTable('users', { id: text('id').primaryKey(), name: integer('name') }) };
    expect((await plan(counted)).shards.map(({ dataLoss }) => dataLoss)).toEqual([
      ['users.name becomes INTEGER, and was TEXT: values of 1 rows may become other ones'],
      [],
      [],
    ]);
  });

  it('is also a column that is computed from now on; one that no longer is keeps what it showed', async () => {
    const as = sql`upper(name)`;
    const columns = { id: text('id').primaryKey(), name: text('name') };
    const computed = { users: sqliteTable('users', { ...columns, label: text('label').generatedAlwaysAs(as) }) };
    const written = { users: sqliteTable('users', { ...columns, label: text('label').notNull().default('') }) };
    await push(computed);
    await run(databases.s0, "insert into users (id, name) values ('a', 'Ann')");
    await push(written);
    expect(await rowsOf(databases.s0, 'select * from users')).toEqual([{ id: 'a', name: 'Ann', label: 'ANN' }]);
    expect((await plan(computed)).shards.map(({ dataLoss }) => dataLoss)).toEqual([
      ['users.label is computed from now on: its values in 1 rows go'],
      [],
      [],
    ]);
  });

  it('is no push where a column or a table may have been renamed, also with force', async () => {
    await onAll(USERS, 'create table notes (id text primary key not null, body text)');
    const renamed = {
      users: sqliteTable('users', { id: text('id').primaryKey(), nick: text('nick') }),
      memos: sqliteTable('memos', { id: text('id').primaryKey(), body: text('body') }),
    };
    const error = await push(renamed, true).catch((one: Error) => one);
    expect(error).toBeInstanceOf(PushRefusedError);
    expect((error as Error).message).toContain(
      's0, s1, s2: users.name looks as if it was renamed to nick. Write a migration',
    );
    expect((error as Error).message).toContain('The table notes looks as if it was renamed to memos.');
  });

  it('is no push where a column needs values that nobody has given', async () => {
    await onAll(USERS);
    await run(databases.s2, "insert into users values ('a', 'Ann')");
    const filled = {
      users: sqliteTable('users', { id: text('id').primaryKey(), name: text('name'), team: text('team').notNull() }),
    };
    const { shards } = await plan(filled);
    expect(shards.map(({ obstacles }) => obstacles.length)).toEqual([0, 0, 1]);
    await expect(applyPush({ ...(await plan(filled)) }, { shards: shardsOf(), force: true })).rejects.toThrow(
      'users.team is NOT NULL without a default, and the table has 1 rows',
    );
  });
});

describe('a table that is rebuilt', () => {
  it('keeps its rows, those that refer to it, its triggers and its sequence', async () => {
    await push(schema);
    const others = [
      'create table log (line text)',
      'create table likes (post integer references posts (id) on delete restrict, who text references users (id))',
      'create trigger logged after insert on posts begin insert into log values (new.id); end',
      'create trigger gone after delete on posts begin insert into log values (old.id); end',
    ];
    await onAll(...others);
    await onAll(...ROWS, "insert into likes values (3, 'b')");
    const before = await everything();
    const log = sqliteTable('log', { line: text('line') });
    const stricter = sqliteTable(
      'users',
      { id: text('id').primaryKey(), name: text('name').notNull(), added: text('added').default(sql`(upper('x'))`) },
      (t) => [uniqueIndex('users_name').on(t.name)],
    );
    const likes = sqliteTable('likes', {
      post: integer('post').references(() => posts.id, { onDelete: 'restrict' }),
      who: text('who').references(() => stricter.id),
    });
    const { shards } = await plan({ users: stricter, posts, adults, log, likes });
    expect(shards[0]).toMatchObject({ dataLoss: [], obstacles: [] });
    expect(shards[0]?.warnings.map((line) => line.split(' ')[0])).toEqual(['posts']);
    await push({ users: stricter, posts, adults, log, likes });
    expect(await everything()).toEqual(before);
    expect(await rowsOf(databases.s1, 'select * from users')).toEqual([
      { id: 'a', name: 'Ann', added: 'X' },
      { id: 'b', name: 'Bob', added: 'X' },
    ]);
    // The id of the row that was deleted is not given again.
    await run(databases.s1, "insert into posts (author) values ('b')");
    expect(await rowsOf(databases.s1, 'select max(id) as id from posts')).toEqual([{ id: 10 }]);
    expect(await rowsOf(databases.s1, 'select line from log order by rowid desc limit 1')).toEqual([{ line: '10' }]);
    expect(
      await rowsOf(databases.s1, "select name from sqlite_master where name like '\\_\\_push%' escape '\\'"),
    ).toEqual([]);
    expect((await push({ users: stricter, posts, adults, log, likes })).shards[0]?.state).toBe('current');
  });

  it('keeps its sequence where its name is written in another case', async () => {
    await onAll('create table Posts (id integer primary key autoincrement not null, stars integer)');
    await onAll('insert into posts values (7, 1), (3, 2)', 'delete from posts where id = 7');
    const id = integer('id').primaryKey({ autoIncrement: true });
    await push({ posts: sqliteTable('posts', { id, stars: integer('stars').notNull() }) });
    expect(await rowsOf(databases.s0, 'select * from sqlite_sequence')).toEqual([{ name: 'posts', seq: 7 }]);
  });

  it('keeps what Drizzle has no words for, unless it is forced to make the table anew', async () => {
    await onAll(
      'create table users (id text primary key not null, name text collate nocase) strict',
      'create unique index users_name on users (name desc)',
    );
    const by = (column: typeof users.name) => sql`${column} desc`;
    const plain = { id: text('id').primaryKey(), name: text('name') };
    const same = { users: sqliteTable('users', plain, (t) => [uniqueIndex('users_name').on(by(t.name as never))]) };
    expect((await plan(same)).shards[0]).toMatchObject({ statements: [], dataLoss: [] });
    const other = { users: sqliteTable('users', { ...plain, name: text('name').notNull() }) };
    expect((await plan(other)).shards[0]?.dataLoss).toEqual([
      'users loses STRICT, which Drizzle has no words for',
      'users loses COLLATE NOCASE of name, which Drizzle has no words for',
    ]);
  });

  it('is none where a table that is not to be touched would lose its rows', async () => {
    await onAll(USERS, 'create table legacy_likes (who text references users (id) on delete cascade)');
    const other = { users: sqliteTable('users', { id: text('id').primaryKey(), name: text('name').notNull() }) };
    const { shards } = await plan(other, (name) => !name.startsWith('legacy_'));
    expect(shards[0]?.obstacles).toEqual([expect.stringContaining('legacy_likes refers with ON DELETE')]);
  });

  it('keeps its rowids, which full-text tables know rows by, and those of a circle of references', async () => {
    const nodes = (isStrict: boolean) =>
      sqliteTable(
        'nodes',
        { id: text('id').primaryKey(), up: text('up'), label: isStrict ? text('label').notNull() : text('label') },
        (t) => [foreignKey({ columns: [t.up], foreignColumns: [t.id] }).onDelete('cascade')],
      );
    const log = sqliteTable('log', { line: text('line') });
    await push({ nodes: nodes(false), log });
    await onAll(
      'create table zones (node text references nodes (id) on delete cascade)',
      'create trigger zoned after delete on zones begin insert into log values (old.node); end',
      'create trigger noded after delete on nodes begin insert into log values (old.id); end',
    );
    await onAll("insert into nodes (rowid, id, up, label) values (50, 'a', null, 'A'), (7, 'b', 'a', 'B')");
    await onAll("insert into zones values ('a')");
    await push({ nodes: nodes(true), log }, true);
    // Nothing was deleted that a trigger should know of.
    expect(await rowsOf(databases.s0, 'select * from log')).toEqual([]);
    expect(await rowsOf(databases.s0, "select name from sqlite_master where type = 'trigger'")).toEqual([
      { name: 'noded' },
    ]);
    expect(await rowsOf(databases.s0, 'select rowid, * from nodes order by rowid')).toEqual([
      { rowid: 7, id: 'b', up: 'a', label: 'B' },
      { rowid: 50, id: 'a', up: null, label: 'A' },
    ]);
  });
});

describe('a shard that fails', () => {
  const unique = { users: sqliteTable('users', { id: text('id').primaryKey(), name: text('name').unique() }) };

  it.each([1, 6])(
    'is as it was, %i at a time; the others are reported, and the next push goes on',
    async (concurrency) => {
      await onAll(USERS);
      await run(databases.s1, "insert into users values ('a', 'same'), ('b', 'same')");
      const seen: string[] = [];
      const error = await applyPush(await plan(unique), {
        shards: shardsOf(),
        canary: 's1',
        concurrency,
        onProgress: ({ shard, state }) => seen.push(`${shard} ${state}`),
      }).catch((one: unknown) => one);
      expect(error).toBeInstanceOf(PushFailedError);
      expect((error as PushFailedError).report.shards.map(({ shard, state }) => `${shard} ${state}`)).toEqual([
        's1 failed',
        's0 untouched',
        's2 untouched',
      ]);
      expect(seen).toEqual(['s1 failed']);
      await run(databases.s1, 'update users set name = id');
      expect((await push(unique)).shards.map(({ state }) => state)).toEqual(['done', 'done', 'done']);
    },
  );

  it('on the second: what was done stays', async () => {
    await onAll(USERS);
    await run(databases.s1, "insert into users values ('a', 'same'), ('b', 'same')");
    const error = await applyPush(await plan(unique), { shards: shardsOf(), concurrency: 1 }).catch(
      (one: unknown) => one,
    );
    expect((error as PushFailedError).report.shards.map(({ state }) => state)).toEqual(['done', 'failed', 'untouched']);
    expect((error as Error).message).toMatch(/failed on s1: .*UNIQUE constraint failed.*Done: s0\. Untouched: s2\./);
  });

  it('is one whose schema has changed since', async () => {
    await onAll(USERS);
    const old = await plan(unique);
    await run(databases.s2, 'create table other (id integer)');
    await expect(applyPush(old, { shards: shardsOf() })).rejects.toThrow('The schema of s2 was changed after the push');
    expect(
      await rowsOf(databases.s0, "select name from sqlite_master where type = 'index' and sql is not null"),
    ).toEqual([]);
  });

  it('is one that had no rows to lose, and has some now', async () => {
    await onAll(USERS);
    const old = await plan({ users: sqliteTable('users', { id: text('id').primaryKey() }) });
    expect(old.shards.map(({ dataLoss }) => dataLoss)).toEqual([[], [], []]);
    await run(databases.s2, "insert into users values ('a', 'Ann')");
    await expect(applyPush(old, { shards: shardsOf() })).rejects.toThrow(
      'Rows that would be lost were written to s2 after the push was planned. Nothing was pushed there.',
    );
    // The same where they come while other shards are changed.
    await run(databases.s2, 'delete from users');
    const s0 = new InterceptedD1(databases.s0, async ({ statements }, go) => {
      if (statements.some(({ sql }) => sql.startsWith('ALTER')))
        await run(databases.s2, "insert into users values ('b', 'Bob')");
      return go();
    });
    const error = await applyPush(old, { shards: { ...shardsOf(), s0 } }).catch((one: unknown) => one);
    expect((error as PushFailedError).report.shards.map(({ state }) => state)).toEqual(['done', 'done', 'failed']);
    expect((error as Error).message).toContain('Rows that would be lost were written to s2');
    expect(await rowsOf(databases.s2, 'select * from users')).toEqual([{ id: 'b', name: 'Bob' }]);
  });
});

describe('a cluster', () => {
  it('is pushed behind its guards, and its own tables are left alone', async () => {
    const db = open(schema);
    await applyPush(await plan(schema), { db });
    await db.insert(users).values([
      { id: 'a', name: 'Ann' },
      { id: 'b', name: 'Bob' },
    ]);
    const wider = {
      ...schema,
      users: sqliteTable('users', {
        id: text('id').primaryKey(),
        name: text('name').default('?'),
        age: integer('age'),
      }),
    };
    const next = await plan(wider);
    expect(next.shards.flatMap(({ statements }) => statements).filter((one) => one.includes('_shard_'))).toEqual([]);
    await applyPush(next, { db });
    expect(await open(wider).select().from(wider.users).orderBy(wider.users.id)).toEqual([
      { id: 'a', name: 'Ann', age: null },
      { id: 'b', name: 'Bob', age: null },
    ]);
    expect(await db.$cluster.verify()).toMatchObject({ ok: true });
    expect((await applyPush(await plan(wider), { db })).shards.map(({ state }) => state)).toEqual([
      'current',
      'current',
      'current',
    ]);
  });

  it('refuses swapped bindings, and a plan that leaves a shard out', async () => {
    const db = open(schema);
    await applyPush(await plan(schema), { db });
    const { s0, s1, s2 } = shardsOf();
    const swapped = shardedDrizzle({
      schema,
      shards: { s0, s1: s2, s2: s1 },
      tables: { users: { key: 'id' }, posts: { key: 'author' } },
    });
    const more = { ...schema, notes: sqliteTable('notes', { id: text('id').primaryKey() }) };
    await expect(applyPush(await plan(more), { db: swapped })).rejects.toMatchObject({ code: 'SHARD_IDENTITY' });
    expect(await rowsOf(s1, "select name from sqlite_master where name = 'notes'")).toEqual([]);
    expect(await rowsOf(s0, "select name from sqlite_master where name = 'notes'")).toEqual([]);
    const two = await planPush({ shards: { s0, s1 }, schema, scratch: databases.scratch });
    await expect(applyPush(two, { db: db as never })).rejects.toThrow('The plan lacks the shard s2');
  });
});

async function everything() {
  const read = async (name: Exclude<Name, 'scratch'>) => {
    const d1 = databases[name];
    const tables = (await rowsOf(
      d1,
      "select name from sqlite_master where type = 'table' and name not glob '_cf_*' and name not in ('users', 'sqlite_sequence') order by name",
    )) as { name: string }[];
    return Promise.all(tables.map(async (table) => [table.name, await rowsOf(d1, `select * from ${table.name}`)]));
  };
  return Promise.all((['s0', 's1', 's2'] as const).map(read));
}

import { env } from 'cloudflare:workers';
import { eq } from 'drizzle-orm';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  all,
  CollegeDBError,
  collegedb,
  createCollegeDB,
  first,
  initialize,
  KeyMismatchError,
  listKnownShards,
  prepare,
  reassignShard,
  run,
} from '../../src/collegedb';
import { failureOf, keysOf } from '../placement/fixture';
import { rowsPerShard } from '../support/seed';
import { configOf, fresh, schema, seed, users, whereIs } from './fixture';

let databases: Record<string, D1Database>;
beforeEach(async () => {
  databases = await fresh();
});

const tables = { posts: { key: 'user_id' } };
const INSERT = 'INSERT INTO users (id, name, email) VALUES (?, ?, ?)';

describe.each(['hash', 'round-robin', 'random'] as const)('keyed SQL, strategy %s', (strategy) => {
  it('and typed queries see the same rows', async () => {
    const { db } = initialize({ ...configOf(databases), strategy, schema, tables: { posts: { key: 'userId' } } });
    for (const id of keysOf('user-', 12)) {
      await run(id, INSERT, [id, `name of ${id}`, `${id}@example.com`]);
      await run(id, 'INSERT INTO posts (id, user_id, body) VALUES (?, ?, ?)', [`post-${id}`, id, 'hello']);
    }
    await db.insert(users).values({ id: 'typed', name: 'Typed', email: null });
    expect(await db.select().from(users)).toHaveLength(13);
    expect(await db.select().from(users).where(eq(users.id, 'user-3'))).toEqual([
      { id: 'user-3', name: 'name of user-3', email: 'user-3@example.com' },
    ]);
    expect(await first('typed', 'SELECT name FROM users WHERE id = ?', ['typed'])).toEqual({ name: 'Typed' });
    expect(await first('nobody', 'SELECT name FROM users WHERE id = ?', ['nobody'])).toBeNull();
    for (const id of keysOf('user-', 12)) {
      const own = await whereIs(databases, `select 1 from users where id = '${id}'`);
      expect(own).toHaveLength(1);
      expect(await whereIs(databases, `select 1 from posts where user_id = '${id}'`)).toEqual(own);
    }
    expect(Object.values(await rowsPerShard(databases, 'users')).filter((count) => count > 0).length).toBeGreaterThan(
      1,
    );
  });
});

describe('keyed SQL', () => {
  it('gives D1 results', async () => {
    initialize(configOf(databases));
    const written = await run('a', INSERT, ['a', 'Ada', null]);
    expect(written).toMatchObject({ success: true, results: [], meta: { changes: 1 } });
    expect(await all('a', 'SELECT id, name FROM users WHERE id = ?', ['a'])).toMatchObject({
      success: true,
      results: [{ id: 'a', name: 'Ada' }],
    });
    const statement = await prepare('a', 'SELECT name FROM users WHERE id = ?');
    expect(await statement.bind('a').first()).toEqual({ name: 'Ada' });
    expect((await statement.bind('a').all()).results).toEqual([{ name: 'Ada' }]);
    expect(await (await prepare('a', 'SELECT name FROM users WHERE id = ?', ['a'])).first()).toEqual({ name: 'Ada' });
    expect(
      await run('a', "INSERT INTO users (id) VALUES ('a') ON CONFLICT (id) DO UPDATE SET name = 'B' RETURNING name"),
    ).toMatchObject({ results: [{ name: 'B' }] });
  });

  it('runs what names no key on the shard of the key, and there alone', async () => {
    initialize(configOf(databases, { tables }));
    const keys = keysOf('u', 30);
    for (const id of keys) await run(id, INSERT, [id, 'x', `${id}@example.com`]);
    const perShard = await rowsPerShard(databases, 'users');
    for (const id of keys.slice(0, 8)) {
      const [shard] = await whereIs(databases, `select 1 from users where id = '${id}'`);
      expect(await first(id, 'SELECT count(*) AS n FROM users')).toEqual({ n: perShard[shard as string] });
      expect(await first(id, 'SELECT id FROM users WHERE email = ?', [`${id}@example.com`])).toEqual({ id });
    }
    const [shard] = await whereIs(databases, "select 1 from users where id = 'u0'");
    const { meta } = await run('u0', "UPDATE users SET name = 'changed'");
    expect(meta.changes).toBe(perShard[shard as string]);
    for (const [name, d1] of Object.entries(databases)) {
      const changed = await d1.prepare("select count(*) as n from users where name = 'changed'").first('n');
      expect(changed).toBe(name === shard ? perShard[name] : 0);
    }
    const deleted = await run('u0', 'DELETE FROM users WHERE email LIKE ? RETURNING id', ['u0@%']);
    expect(deleted.results).toEqual([{ id: 'u0' }]);
    expect(
      (await databases[shard as string]
        ?.prepare("select count(*) as n from _shard_moves where side = 'pin'")
        .first('n')) ?? 0,
    ).toBe(0);
  });

  it.each([
    ['SELECT * FROM users WHERE id = ?', ['b']],
    ["SELECT * FROM users WHERE id = 'b'", []],
    ['SELECT * FROM users WHERE id IN (?, ?)', ['a', 'b']],
    ['SELECT * FROM users WHERE id = ? OR id = ?', ['a', 'b']],
    ['UPDATE users SET name = ? WHERE id = ?', ['x', 'b']],
    ['DELETE FROM users WHERE id = ?', ['b']],
    ['INSERT INTO users (id, name) VALUES (?, ?)', ['b', 'x']],
    ['INSERT INTO users (id, name) VALUES (?, ?), (?, ?)', ['a', 'x', 'b', 'x']],
    ['SELECT * FROM posts p JOIN users u ON u.id = p.user_id WHERE u.id = ?', ['b']],
    ['INSERT INTO posts (id, user_id) VALUES (?, ?)', ['a', 'b']],
  ])('refuses %s with another key', async (sql, bindings) => {
    initialize(configOf(databases, { tables, strategy: 'round-robin' }));
    for (const id of ['a', 'b']) await run(id, INSERT, [id, id, null]);
    const error = await failureOf(run('a', sql, bindings));
    expect(error).toBeInstanceOf(KeyMismatchError);
    expect(error.code).toBe('KEY_MISMATCH');
    expect(error.message).toMatch(/the key 'a'.*(users\.id|posts\.user_id).*'b'/s);
    expect(await first('a', 'SELECT name FROM users WHERE id = ?', ['a'])).toEqual({ name: 'a' });
    expect(await first('b', 'SELECT name FROM users WHERE id = ?', ['b'])).toEqual({ name: 'b' });
  });

  it('places no key of a statement that it refuses', async () => {
    initialize(configOf(databases, { strategy: 'round-robin' }));
    await run('a', INSERT, ['a', 'a', null]);
    await failureOf(run('a', INSERT, ['never', 'x', null]));
    expect(await whereIs(databases, "select 1 from _shard_keys where key = 'never'")).toEqual([]);
  });

  it('compares keys as the column does', async () => {
    const { db } = initialize(configOf(databases));
    await run('5', 'INSERT INTO tickets (id, title) VALUES (?, ?)', [5, 'five']);
    expect(await first('5', 'SELECT title FROM tickets WHERE id = ?', ['5'])).toEqual({ title: 'five' });
    expect(await first('5', 'SELECT title FROM tickets WHERE id = 5')).toEqual({ title: 'five' });
    expect(await db.$client.prepare('SELECT title FROM tickets WHERE id = 5').first()).toEqual({ title: 'five' });
    expect(await failureOf(run('5', 'SELECT * FROM tickets WHERE id = 6'))).toBeInstanceOf(KeyMismatchError);
    const unnamed = await failureOf(run('5', 'INSERT INTO tickets (title) VALUES (?)', ['x']));
    expect(unnamed.message).toContain('leaves id to be numbered');
  });

  it('follows a key that moves', async () => {
    const other = createCollegeDB(configOf(databases, { tables }));
    initialize(configOf(databases, { tables }));
    await run('u', INSERT, ['u', 'Ada', 'ada@example.com']);
    await run('u', "INSERT INTO posts (id, user_id, body) VALUES ('p', 'u', 'x')");
    expect(await other.first('u', 'SELECT name FROM users WHERE email = ?', ['ada@example.com'])).toEqual({
      name: 'Ada',
    });
    for (const shard of ['db-central', 'db-west', 'db-east']) {
      await reassignShard('u', shard, 'users');
      expect(await whereIs(databases, 'select 1 from users')).toEqual([shard]);
      expect(await whereIs(databases, 'select 1 from posts')).toEqual([shard]);
      for (const read of [first, other.first]) {
        expect(await read('u', 'SELECT name FROM users WHERE email = ?', ['ada@example.com'])).toEqual({ name: 'Ada' });
        expect(await read('u', 'SELECT name FROM users WHERE id = ?', ['u'])).toEqual({ name: 'Ada' });
      }
    }
    expect(await failureOf(reassignShard('nobody', 'db-east'))).toMatchObject({ code: 'MAPPING_NOT_FOUND' });
    expect(await failureOf(reassignShard('u', 'db-nowhere'))).toMatchObject({ code: 'SHARD_NOT_FOUND' });
  });

  it('runs what names the key for some of its tables where the key is, in its keyspace', async () => {
    const rules = { posts: { key: 'user_id', keyspace: 'posts' } };
    initialize(configOf(databases, { tables: rules, strategy: { read: 'hash', write: 'round-robin' } }));
    await run('u', INSERT, ['u', 'Ada', null]);
    for (const id of keysOf('p', 9)) await run(id, 'INSERT INTO posts (id, user_id) VALUES (?, ?)', [id, id]);
    const [shard] = await whereIs(databases, 'select 1 from users');
    const there = (await rowsPerShard(databases, 'posts'))[shard as string];
    const sql = 'SELECT u.id, (SELECT count(*) FROM posts) AS n FROM users u WHERE u.id = ?';
    expect(await first('u', sql, ['u'])).toEqual({ id: 'u', n: there });
    const changed = await run('u', 'UPDATE users SET name = (SELECT count(*) FROM posts) WHERE id = ?', ['u']);
    expect(changed.meta.changes).toBe(1);
    expect(await first('u', 'SELECT name FROM users WHERE id = ?', ['u'])).toEqual({ name: String(there) });
  });

  it('holds moves off where it may write rows of other keys', async () => {
    initialize(configOf(databases, { moveTimeout: 300 }));
    await run('u', INSERT, ['u', 'Ada', null]);
    const [shard] = await whereIs(databases, 'select 1 from users');
    await seed(databases[shard as string] as D1Database, [
      `insert into _shard_moves (id, side, kind, keyspace, key, phase) values (7, 'out', 'key', 'default', 'another', 'frozen')`,
    ]);
    await run('u', "UPDATE users SET name = 'its own' WHERE id = 'u'");
    expect(await failureOf(run('u', "UPDATE users SET name = 'anybody''s'"))).toMatchObject({
      code: 'MOVE_IN_PROGRESS',
    });
    expect(await first('u', 'SELECT name FROM users')).toEqual({ name: 'its own' });
  });

  it('takes a table of any name', async () => {
    const name = 'order "by"; --';
    const quoted = '"order ""by""; --"';
    for (const d1 of Object.values(databases)) await seed(d1, [`create table ${quoted} ("i""d" text primary key)`]);
    initialize(configOf(databases));
    await run('k', `INSERT INTO ${quoted} ("i""d") VALUES (?)`, ['k']);
    expect(await first('k', `SELECT * FROM ${quoted} WHERE "i""d" = ?`, ['k'])).toEqual({ 'i"d': 'k' });
    await reassignShard('k', 'db-west', name);
    await reassignShard('k', 'db-east', name);
    expect(await whereIs(databases, `select 1 from ${quoted}`)).toEqual(['db-east']);
  });
});

describe('the configuration', () => {
  it('is given first', async () => {
    const before = await failureOf(run('a', 'SELECT 1'));
    expect(before).toBeInstanceOf(CollegeDBError);
    expect(before).toMatchObject({ name: 'CollegeDBError', code: 'NOT_INITIALIZED' });
    expect(() => initialize({ kv: env.KV, shards: {} })).toThrow(expect.objectContaining({ code: 'NO_SHARDS' }));
    expect(await collegedb(configOf(databases), async () => listKnownShards())).toEqual([
      'db-east',
      'db-west',
      'db-central',
    ]);
    expect(await listKnownShards()).toHaveLength(3);
    await expect(collegedb(configOf(databases), () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
  });

  it('is not needed globally', async () => {
    const { run: put, first: get } = createCollegeDB(configOf(databases));
    await put('a', INSERT, ['a', 'Ada', null]);
    expect(await get('a', 'SELECT name FROM users WHERE id = ?', ['a'])).toEqual({ name: 'Ada' });
    expect(await failureOf(run('a', 'SELECT 1'))).toMatchObject({ code: 'NOT_INITIALIZED' });
  });
});

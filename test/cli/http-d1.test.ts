import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { httpD1 } from '../../src/cli/remote/http-d1';
import { clientOf, failureOf, shardsOf } from './support/client';
import { D1ApiServer } from './support/d1-api-server';
import { MiniflareBackend } from './support/miniflare-backend';
import { SimulatedBackend } from './support/simulated-backend';

const backend = new MiniflareBackend({ databases: 2, spare: 0 });
const simulated = new SimulatedBackend(1);
let server: D1ApiServer;
let overHttp: D1Database;
let bound: D1Database;

beforeAll(async () => {
  server = await D1ApiServer.start({ backend });
  const [first, second] = backend.list();
  if (!first || !second) throw new Error('There are two databases.');
  bound = await backend.binding(first);
  overHttp = httpD1(clientOf(server), { databaseId: second.uuid, name: second.name });
  for (const db of [bound, overHttp]) {
    await db.exec('create table t (id integer primary key, name text unique, data blob)');
    await db.exec("insert into t (id, name) values (1, 'one'), (2, 'two')");
  }
});
afterAll(async () => {
  await server.close();
  await backend.dispose();
});

/** All that the binding can be asked for; what comes out is what tells how the database is seen. */
const CALLS: readonly (readonly [name: string, call: (db: D1Database) => Promise<unknown>])[] = [
  ['all', (db) => db.prepare('select * from t order by id').all()],
  ['all without rows', (db) => db.prepare('select * from t where id = ?').bind(9).all()],
  ['run', (db) => db.prepare('insert into t (id, name) values (?, ?) returning id').bind(3, 'three').run()],
  ['run without a result', (db) => db.prepare('update t set name = name').run()],
  ['first', (db) => db.prepare('select * from t order by id').first()],
  ['first of a column', (db) => db.prepare('select * from t order by id').first('name')],
  ['first of nothing', (db) => db.prepare('select * from t where id = 9').first('name')],
  ['first of a column that is not there', (db) => db.prepare('select id from t').first('nobody')],
  ['raw', (db) => db.prepare('select id, name as id from t order by id').raw()],
  ['raw with names', (db) => db.prepare('select id, name as id from t order by id').raw({ columnNames: true })],
  ['raw with names, without rows', (db) => db.prepare('select id from t where 0').raw({ columnNames: true })],
  ['columns of one name', (db) => db.prepare('select 1 as a, 2 as a').all()],
  [
    'values',
    (db) =>
      db
        .prepare('select ?, ?, ?, ?, ?, ?, typeof(?1), typeof(?2)')
        .bind(1, 1.5, 'é\u0000\u{1f600}', null, true, false)
        .raw(),
  ],
  ['a number in a text column', (db) => db.prepare('select cast(? as text)').bind(1).raw()],
  ['numbers that are none', (db) => db.prepare('select ?, ?').bind(Number.NaN, Number.POSITIVE_INFINITY).raw()],
  ['bytes that are read', (db) => db.prepare("select x'00ff' as b").all()],
  ['large integers', (db) => db.prepare('select 9007199254740993 as n').raw()],
  [
    'a batch',
    (db) =>
      db.batch([
        db.prepare('insert into t (id, name) values (?, ?)').bind(4, 'four'),
        db.prepare('select count(*) as n from t'),
        db.prepare('delete from t where id = ?').bind(4),
      ]),
  ],
  ['a batch of one', (db) => db.batch([db.prepare('select 1 as one')])],
  ['an empty batch', (db) => db.batch([])],
  [
    'a batch that fails',
    (db) =>
      db.batch([
        db.prepare('insert into t (id, name) values (5, ?)').bind('five'),
        db.prepare('insert into t (name) values (?)').bind('one'),
      ]),
  ],
  ['what is left of it', (db) => db.prepare('select count(*) as n from t where id = 5').first('n')],
  ['exec', (db) => db.exec("insert into t (name) values ('six')\ndelete from t where name = 'six'")],
  ['a session', (db) => db.withSession('first-primary').prepare('select id from t order by id').all()],
  ['a batch of a session', (db) => sessionBatch(db.withSession())],
  ['undefined', async (db) => db.prepare('select ?').bind(undefined)],
  ['a bigint', async (db) => db.prepare('select ?').bind(1n)],
  ['a date', async (db) => db.prepare('select ?').bind(new Date(0))],
  ['a list of texts', async (db) => db.prepare('select ?').bind(['a'])],
  ['no such table', (db) => db.prepare('select * from nowhere').all()],
  ['no such column', (db) => db.prepare('select nothing from t').all()],
  ['no SQL', (db) => db.prepare('selec 1').all()],
  ['a duplicate', (db) => db.prepare('insert into t (name) values (?)').bind('one').run()],
  ['too many values', (db) => db.prepare('select ?').bind(1, 2).all()],
  ['too few values', (db) => db.prepare('select ?, ?').bind(1).all()],
  ['bad JSON', (db) => db.prepare("select json_extract('{}', ?)").bind('a[').all()],
  ['what a trigger raises', (db) => raising(db)],
];

const sessionBatch = (session: D1DatabaseSession) => session.batch([session.prepare('select count(*) as n from t')]);

async function raising(db: D1Database): Promise<unknown> {
  await db
    .prepare(`create trigger if not exists stop before delete on t when old.id = 1
    BEGIN select raise(abort, 'SHARD_MOVED 5B5D'); END`)
    .run();
  return db.prepare('delete from t where id = 1').run();
}

/** A result without what two databases cannot have in common. */
function comparable(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (key, inner) => (['duration', 'sql_duration_ms', 'size_after'].includes(key) ? 0 : inner)),
  );
}

async function outcomeOf(call: (db: D1Database) => Promise<unknown>, db: D1Database): Promise<unknown> {
  try {
    const value = await call(db);
    return { value: value === undefined ? 'undefined' : comparable(value) };
  } catch (error) {
    return { message: (error as Error).message };
  }
}

describe('a database over HTTP is the same as one that is bound:', () => {
  it.each(CALLS)('%s', async (_, call) => {
    expect(await outcomeOf(call, overHttp)).toEqual(await outcomeOf(call, bound));
  });

  it('exec that fails, but for the line, of which the binding always says that it is the first', async () => {
    const script = 'select 1\nselect * from nowhere';
    for (const db of [bound, overHttp]) {
      expect((await failureOf(db.exec(script))).message).toMatch(
        /^D1_EXEC_ERROR: .*no such table: nowhere: SQLITE_ERROR$/,
      );
    }
  });

  it('errors have the same cause', async () => {
    const error = await failureOf(overHttp.prepare('select * from nowhere').all());
    expect(error.cause).toMatchObject({ message: 'no such table: nowhere: SQLITE_ERROR' });
  });

  it.each([
    ['an ArrayBuffer', new ArrayBuffer(2)],
    ['a view', new Uint8Array([1, 2])],
    ['a list of numbers', [1, 2]],
  ])('but %s is refused, with what to write instead', (_, bytes) => {
    expect(() => overHttp.prepare('select ?').bind(bytes)).toThrow(/^D1_TYPE_ERROR: .*unhex\(\?\)/);
  });

  it('and so is a statement of another database, which a binding would run on its own', async () => {
    const foreign = overHttp.batch([bound.prepare('select 1')]);
    expect(await failureOf(foreign)).toBeInstanceOf(TypeError);
  });

  it('and dump(), which the binding does not have any more', async () => {
    expect((await failureOf(overHttp.dump())).message).toMatch(/^D1_DUMP_ERROR: .*wrangler d1 export/);
  });

  it('a session has no bookmark', async () => {
    const session = overHttp.withSession('first-primary');
    await session.prepare('select 1').run();
    expect(session.getBookmark()).toBeNull();
  });
});

describe('a simulated database is the same but for its statistics:', () => {
  let api: D1ApiServer;
  let db: D1Database;
  beforeAll(async () => {
    api = await D1ApiServer.start({ backend: simulated });
    db = Object.values(shardsOf(api))[0] as D1Database;
    for (const each of [db, bound]) {
      await each.exec('drop table if exists t\ncreate table t (id integer primary key, name text unique, data blob)');
      await each.exec("insert into t (id, name) values (1, 'one'), (2, 'two')");
    }
  });
  afterAll(async () => {
    await api.close();
    await simulated.dispose();
  });

  it.each(CALLS)('%s', async (_, call) => {
    expect(likely(await outcomeOf(call, db))).toEqual(likely(await outcomeOf(call, bound)));
  });
});

/** Without what `node:sqlite` does not tell. */
function likely(value: unknown): unknown {
  const text = JSON.stringify(value, (key, inner) => (key === 'meta' ? undefined : inner));
  return JSON.parse(text.replace(/ at offset \d+/g, ''));
}

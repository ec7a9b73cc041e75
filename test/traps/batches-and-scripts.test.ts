import { beforeEach, describe, expect, it } from 'vitest';
import { shardedD1, shardedDrizzle } from '../../src';
import { countingShards } from '../support/counting-d1';
import { rowsPerShard } from '../support/seed';
import { plain } from '../support/shards';
import {
  contents,
  expectSame,
  expectSameContents,
  expectSameWrite,
  failureOf,
  standardWorld,
  threeShards,
  type World,
} from './support';

let world: World;
beforeEach(async () => {
  world = await standardWorld();
});

const batch = (database: D1Database, statements: readonly string[]): Promise<D1Result[]> =>
  database.batch(statements.map((sql) => database.prepare(sql)));

describe('a batch', () => {
  it('of reads over several shards gives what one database gives', async () => {
    const statements = [
      'select id from users order by age, id limit 3',
      'select count(*) as n from users',
      "select name from users where id = 'u1'",
      'select u.id, v.id as other from users u join users v on u.age = v.age and u.id < v.id order by 1, 2',
      'select code from countries order by code',
      'select id from users where age > 100',
    ];
    const rows = async (database: D1Database) => (await batch(database, statements)).map(({ results }) => results);
    const expected = await rows(plain);
    expect(await rows(world.one)).toEqual(expected);
    expect(await rows(world.three)).toEqual(expected);
  });

  it('on one shard is one round trip, and atomic', async () => {
    const counted = countingShards(threeShards);
    const d1 = shardedD1({ shards: counted.shards, tables: world.rules });
    await d1.prepare("select (select count(*) from users where id = 'u1') from posts where user_id = 'u1'").all();
    counted.total.reset();
    const results = await batch(d1, [
      "update users set age = 50 where id = 'u1'",
      "insert into posts (id, user_id) values ('q1', 'u1'), ('q2', 'u1')",
      "select age from users where id = 'u1'",
      "delete from posts where user_id = 'u1' and id = 'q2' returning id",
    ]);
    expect(counted.total).toMatchObject({ calls: 1, batches: 1, statements: 4 });
    expect(results.map(({ meta }) => meta.changes)).toEqual([1, 2, expect.any(Number), 1]);
    expect(results.map(({ results }) => results)).toEqual([[], [], [{ age: 50 }], [{ id: 'q2' }]]);
    const before = await contents(threeShards, 'users');
    const failing = ["update users set age = 60 where id = 'u1'", "insert into users (id) values ('u1')"];
    expect((await failureOf(batch(d1, failing))).message).toContain('UNIQUE');
    expect(await contents(threeShards, 'users')).toEqual(before);
  });

  it.each([
    [
      [
        "update users set age = 1 where id = 'u1'",
        "update users set age = 1 where id = 'u2'",
        "update users set age = 1 where id = 'u3'",
      ],
    ],
    [['delete from users']],
    [['delete from posts', 'delete from users']],
    [["insert into users (id) values ('k1'), ('k2'), ('k3'), ('k4')"]],
    [["insert into countries (code) values ('it')", 'update users set age = 1']],
    [['select id from users', "insert into users (id) values ('k1'), ('k2'), ('k3'), ('k4')"]],
    [["delete from users where id = 'u1'", 'select count(*) from users']],
  ])('whose writes span shards is refused before anything is written: %j', async (statements) => {
    const before = [await contents(threeShards, 'users'), await contents(threeShards, 'countries')];
    const error = await failureOf(batch(world.three, statements));
    expect(['CROSS_SHARD_BATCH', 'UNSUPPORTED_STATEMENT']).toContain(error.code);
    expect(error.message).toMatch(/per-shard|by itself/);
    expect([await contents(threeShards, 'users'), await contents(threeShards, 'countries')]).toEqual(before);
  });

  it("may span shards with crossShardBatch: 'per-shard'", async () => {
    const d1 = shardedD1({ shards: threeShards, tables: world.rules, crossShardBatch: 'per-shard' });
    const statements = [
      "insert into users (id, age) values ('k1', 1), ('k2', 2), ('k3', 3), ('k4', 4), ('u1', 9) on conflict (id) do update set age = 10 returning id, age",
      "update users set age = age + 1 where id in ('k2', 'k4', 'none')",
      "insert into countries (code, name) values ('it', 'Italy') returning code",
      'delete from posts',
      'select id, age from users order by age desc, id limit 3',
      "delete from users where id = 'k1'",
    ];
    const expected = await batch(plain, statements);
    const results = await batch(d1, statements);
    expect(results.map(({ results }) => results)).toEqual(expected.map(({ results }) => results));
    const changes = (list: readonly D1Result[]) => list.filter((_, i) => i !== 4).map(({ meta }) => meta.changes);
    expect(changes(results)).toEqual(changes(expected));
    await batch(world.one, statements);
    for (const table of ['users', 'posts', 'countries']) await expectSameContents(world, table);
  });

  it("with 'per-shard' says which shards applied it when one fails", async () => {
    const config = { shards: threeShards, tables: world.rules, crossShardBatch: 'per-shard' } as const;
    const statements = ['update users set age = 1', "insert into users (id) values ('u1')"];
    const before = await contents(threeShards, 'users');
    expect(await failureOf(batch(shardedD1(config), statements))).toMatchObject({ code: 'SHARD_QUERY' });
    expect(await contents(threeShards, 'users')).toEqual(before);
    const error = await failureOf(batch(shardedD1({ ...config, rehearseWrites: false }), statements));
    expect(error).toMatchObject({ code: 'PARTIAL_WRITE', failed: [{ shard: expect.any(String) }] });
    expect(error).toMatchObject({ applied: [{ changes: expect.any(Number) }, { changes: expect.any(Number) }] });
  });

  it('of nothing, or of statements of another database, is refused', async () => {
    expect((await failureOf(world.three.batch([]))).code).toBe('UNSUPPORTED_STATEMENT');
    expect((await failureOf(world.three.batch([plain.prepare('select 1')]))).code).toBe('UNSUPPORTED_STATEMENT');
  });

  it('of writes to replicated tables alone keeps all replicas alike', async () => {
    const statements = [
      "insert into countries (code, name) values ('it', 'Italy')",
      "update countries set name = 'X' where code = 'de'",
    ];
    for (const database of [plain, world.one, world.three]) {
      const results = await batch(database, statements);
      expect(results.map(({ meta }) => meta.changes)).toEqual([1, 1]);
    }
    await expectSameContents(world, 'countries');
  });
});

describe('schema changes', () => {
  it('run on every shard, and are known afterwards', async () => {
    for (const sql of [
      'create table notes (id text primary key, body text)',
      'create index notes_body on notes (body)',
      "insert into notes (id, body) values ('a', 'x'), ('b', 'y'), ('c', 'x'), ('d', 'z')",
      'alter table notes add column n integer default 7',
      "insert into notes values ('e', 'x', 8)",
    ]) {
      for (const database of [plain, world.one, world.three]) await database.prepare(sql).run();
    }
    await expectSameContents(world, 'notes');
    await expectSame(world, 'select * from notes order by id');
    await expectSame(world, 'select body, sum(n) from notes group by body order by body');
    for (const database of [plain, world.one, world.three]) await database.prepare('drop table notes').run();
    expect((await failureOf(world.three.prepare('select * from notes').all())).code).toBe('UNKNOWN_TABLE');
  });

  it.each([
    'create table copies as select * from users',
    'create table copies as with q as (select * from users) select * from q',
    'create table copies as values (1)',
  ])('that copy rows are refused: %s', async (sql) => {
    expect((await failureOf(world.three.prepare(sql).run())).code).toBe('UNSUPPORTED_STATEMENT');
    for (const database of Object.values(threeShards)) {
      const found = await database.prepare("select count(*) as n from sqlite_master where name = 'copies'").first('n');
      expect(found).toBe(0);
    }
  });

  it('in a batch go to every shard together with updates of every row', async () => {
    await batch(world.three, [
      'alter table users add column score integer',
      'update users set score = age * 2',
      'create index users_score on users (score)',
    ]);
    const { results } = await world.three.prepare('select count(*) as n, sum(score) as s from users').all();
    const expected = await plain.prepare('select count(*) as n, sum(age * 2) as s from users').all();
    expect(results).toEqual(expected.results);
  });

  it('collations of a discovered table are read from its columns only', async () => {
    for (const sql of [
      'create table folded (id text primary key, a text, b text collate nocase, "c d" text collate "NOCASE", unique (a collate nocase, id))',
      "create table plainly (id text primary key, a text /* collate nocase */, b text -- not collate nocase\n, c text default ', collate nocase', check (b collate nocase <> 'x'))",
    ]) {
      for (const database of [plain, world.one, world.three]) await database.prepare(sql).run();
    }
    for (const [table, c] of [
      ['folded', '"c d"'],
      ['plainly', 'c'],
    ] as const) {
      const rows = ['a', 'B', 'c', 'D', 'e', 'F'].map((v, i) => `('k${i}', '${v}', '${v}', '${v}')`).join(', ');
      await expectSameWrite(world, table, `insert into ${table} values ${rows}`);
      for (const column of ['a', 'b', c]) {
        await expectSame(world, `select ${column} from ${table} order by ${column}, id`);
        await expectSame(
          world,
          `select max(${column}), min(${column}), count(distinct upper(${column})) from ${table}`,
        );
      }
    }
  });
});

describe('exec()', () => {
  it('runs a script, one statement a line', async () => {
    const script = [
      'create table notes (id text primary key, body text)',
      "insert into notes values ('a', 'x;y'), ('b', 'y'), ('c', 'z')",
      "update notes set body = 'new' where id = 'a'",
    ].join('\n');
    for (const database of [plain, world.one, world.three]) {
      expect(await database.exec(script)).toMatchObject({ count: 3, duration: expect.any(Number) });
    }
    await expectSameContents(world, 'notes');
    expect(Object.values(await rowsPerShard(threeShards, 'notes')).reduce((a, b) => a + b)).toBe(3);
  });

  it('runs a trigger with its own semicolons', async () => {
    const script = 'create trigger loud after insert on tags begin update users set age = 99 where id = new.id; end;';
    for (const database of [plain, world.one, world.three]) await database.exec(script);
    await expectSameWrite(world, 'tags', "insert into tags (id) values ('u9'), ('u10'), ('u11')");
    await expectSameContents(world, 'users');
  });
});

describe('sessions', () => {
  it('read and write as the database does, and hand on one bookmark for all shards', async () => {
    const session = world.three.withSession('first-primary');
    await session.prepare("insert into users (id, age) values ('k1', 1), ('k2', 2), ('k3', 3), ('k4', 4)").run();
    const { results } = await session.prepare("select id from users where id like 'k%' order by id").all();
    expect(results).toHaveLength(4);
    const bookmark = session.getBookmark();
    expect(bookmark).toContain('s0');
    const next = world.three.withSession(bookmark ?? undefined);
    const [count, one] = await next.batch<{ n: number }>([
      next.prepare('select count(*) as n from users'),
      next.prepare("select count(*) as n from users where id = 'k1'"),
    ]);
    expect([count?.results, one?.results]).toEqual([[{ n: 20 }], [{ n: 1 }]]);
    expect(world.three.withSession().getBookmark()).toBeNull();
    expect(() => world.three.withSession('0000-0000-0000')).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED_STATEMENT' }),
    );
  });
});

describe('transactions', () => {
  it.each(['begin', 'BEGIN IMMEDIATE', 'commit', 'rollback', 'savepoint a', 'release a', 'end'])(
    '%s is refused',
    async (sql) => {
      expect(await failureOf(world.three.prepare(sql).run())).toMatchObject({ code: 'TRANSACTION' });
      expect((await failureOf(world.three.exec(sql))).code).toBe('TRANSACTION');
    },
  );

  it('of Drizzle are refused before the callback runs', async () => {
    const counted = countingShards(threeShards);
    const db = shardedDrizzle({ shards: counted.shards });
    let ran = false;
    const error = await failureOf(
      db.transaction(async () => {
        ran = true;
      }),
    );
    expect(error.cause ?? error).toMatchObject({ code: 'TRANSACTION' });
    expect(ran).toBe(false);
    expect(counted.total.calls).toBe(0);
  });

  it.each(['', ' -- nothing', 'vacuum', "attach 'x' as y", 'select 1; select 2', 'nonsense'])(
    '%j is refused by name',
    async (sql) => {
      const { code } = await failureOf(world.three.prepare(sql).run());
      expect(['UNSUPPORTED_STATEMENT', 'SQL_SYNTAX']).toContain(code);
    },
  );
});

import { beforeEach, describe, expect, it } from 'vitest';
import { MissingShardError, ShardIdentityError } from '../../src';
import { run as runAll } from '../support/seed';
import { shards } from '../support/shards';
import {
  begin,
  databases,
  failureOf,
  fill,
  IDS,
  MOVING,
  makeTables,
  numberOf,
  ON_S1,
  ON_S2,
  router,
  rows,
  SCHEMA,
  write,
} from './moving';

type Run = (d1: D1Database) => Promise<unknown>;
type Shards = Record<string, D1Database>;

/** New keys for all three shards. */
const NEW = Array.from({ length: 8 }, (_, i) => `('new${i}', 1)`).join(', ');
const THREE_KEYS = [MOVING, ON_S1, ON_S2] as const;
const insertBatch = (d1: D1Database) =>
  THREE_KEYS.map((id) => d1.prepare("insert into posts (id, user_id, n) values ('x', ?, 1)").bind(id));

const READS: Record<string, Run> = {
  'rows in order': (d1) => rows(d1, 'select id from users order by n'),
  'a count': (d1) => rows(d1, 'select count(*) from users'),
  'a join across keys': (d1) => rows(d1, 'select a.id from users a join users b on b.n = a.n + 1'),
  'a list of keys': (d1) => rows(d1, 'select id from users where id in (?, ?, ?)', ...THREE_KEYS),
  'a batch of reads': (d1) => d1.batch([d1.prepare('select count(*) from users'), d1.prepare('select 1')]),
};
const WRITES: Record<string, Run> = {
  'an update of all rows': (d1) => write(d1, 'update users set n = n + 1'),
  'a delete of listed keys': (d1) => write(d1, 'delete from users where id in (?, ?, ?)', ...THREE_KEYS),
  'rows that are found first': (d1) => write(d1, 'delete from users where n < 100 order by n limit 20'),
  'a copy on all shards': (d1) => write(d1, "insert into posts (id, user_id, n) select 'x' || id, id, n from users"),
  'a script': (d1) => d1.exec('delete from users'),
  'an insert': (d1) => write(d1, `insert into users (id, n) values ${NEW}`),
  'a batch of inserts': (d1) => d1.batch(insertBatch(d1)),
};
const SCHEMA_CHANGES: Record<string, Run> = {
  'a new table': (d1) => write(d1, 'create table things (id text primary key)'),
  'a batch with a new table': (d1) => d1.batch([d1.prepare('create table things (id text primary key)')]),
};
/** What concerns s1 alone. */
const BY_KEY: Record<string, Run> = {
  'a read by key': (d1) => rows(d1, 'select id from users where id = ?', ON_S1),
  'an update by key': (d1) => write(d1, 'update users set n = 0 where id = ?', ON_S1),
  'an insert by key': (d1) => write(d1, "insert into posts (id, user_id, n) values ('x', ?, 1)", ON_S1),
  'a batch by key': (d1) => d1.batch([d1.prepare('delete from users where id = ?').bind(ON_S1)]),
};
const OVER_ALL = { ...READS, ...WRITES, ...SCHEMA_CHANGES };

/** The users' tables of databases, and their rows. */
const contentsOf = (of: Shards) =>
  Promise.all(
    Object.values(of).map(async (d1) => [
      await rows(
        d1,
        "select name from sqlite_master where type = 'table' and name not glob '_*' and name not glob 'sqlite_*' order by name",
      ),
      await rows(d1, 'select * from users order by id'),
      await rows(d1, 'select * from posts order by id'),
    ]),
  );

/** Each of the statements, by a router of its own, is refused with this error, and changes nothing in any database. */
async function expectRefused(runs: Record<string, Run>, open: () => D1Database, of: Shards, expected: object) {
  const before = await contentsOf(of);
  for (const [name, run] of Object.entries(runs)) {
    const error = await failureOf(run(open()));
    expect(error, name).toMatchObject(expected);
    expect(await contentsOf(of), name).toEqual(before);
  }
}

const perShard = { crossShardBatch: 'per-shard' } as const;
const unrehearsed = { ...perShard, rehearseWrites: false } as const;

beforeEach(async () => {
  await makeTables();
  await fill(router());
});

describe('a database that is another than its binding says: SHARD_IDENTITY, and nothing is read or written', () => {
  const refused = { code: 'SHARD_IDENTITY' };
  const everything = { ...OVER_ALL, ...BY_KEY };

  it.each([
    ['', perShard],
    [', without rehearsal', unrehearsed],
  ])('two bindings are swapped%s', async (_how, config) => {
    const { s0, s1, s2 } = databases();
    const swapped = { s0, s1: s2, s2: s1 };
    await expectRefused(everything, () => router({ ...config, shards: swapped }), databases(), refused);
    expect(await failureOf(READS['a count']?.(router({ shards: swapped })) as Promise<unknown>)).toBeInstanceOf(
      ShardIdentityError,
    );
  });

  it('two bindings are swapped, and one of them has the catalog', async () => {
    const { s0, s1, s2 } = databases();
    await expectRefused(
      everything,
      () => router({ ...perShard, shards: { s0: s1, s1: s0, s2 } }),
      databases(),
      refused,
    );
    // Put right again, all is well.
    expect(await rows(router(), 'select id from users order by n')).toEqual(IDS.map((id) => [id]));
    await write(router(), 'update users set n = n + 1');
  });

  it('a database belongs to another cluster', async () => {
    const { s3, s4, s5 } = shards(6) as { s3: D1Database; s4: D1Database; s5: D1Database };
    const others = { s0: s3, s1: s4, s2: s5 };
    for (const d1 of Object.values(others)) await runAll(d1, SCHEMA);
    await fill(router({ shards: others }));
    const mixed = { ...databases(), s1: s4 };
    const of = { ...databases(), s3, s4, s5 };
    await expectRefused(everything, () => router({ ...perShard, shards: mixed }), of, { ...refused, shard: 's1' });
  });

  it.each(['s0', 's1'] as const)('the database of %s has been emptied', async (emptied) => {
    const warm = router(perShard);
    await rows(warm, 'select count(*) from users');
    const d1 = databases()[emptied];
    const found = await rows(d1, "select name from sqlite_master where type = 'table' and name not glob 'sqlite_*'");
    const tables = found.map(([name]) => String(name)).filter((name) => !name.startsWith('_cf_'));
    await runAll(d1, [...tables.map((name) => `drop table "${name}"`), ...SCHEMA]);
    const keyed = emptied === 's1' ? BY_KEY : {};
    await expectRefused({ ...OVER_ALL, ...keyed }, () => router(perShard), databases(), refused);
    // A schema change relies on what its isolate has seen of the bindings.
    await expectRefused({ ...READS, ...WRITES, ...keyed }, () => warm, databases(), refused);
  });
});

describe('a shard of the map without a binding: MISSING_SHARD, never a part of the rows', () => {
  const refused = { code: 'MISSING_SHARD', shard: 's2' };
  const two = () => {
    const { s0, s1 } = databases();
    return { s0, s1 };
  };

  it('for everything that needs it', async () => {
    await expectRefused(OVER_ALL, () => router({ ...perShard, shards: two() }), databases(), refused);
    await expectRefused(OVER_ALL, () => router({ ...unrehearsed, shards: two() }), databases(), refused);
    expect(await failureOf(rows(router({ shards: two() }), 'select n from users'))).toBeInstanceOf(MissingShardError);
  });

  it('but not for the keys of others', async () => {
    const d1 = router({ shards: two() });
    for (const id of [MOVING, ON_S1]) {
      expect(await rows(d1, 'select n from users where id = ?', id)).toEqual([[numberOf(id)]]);
    }
    expect(await failureOf(rows(d1, 'select n from users where id = ?', ON_S2))).toMatchObject(refused);
  });

  it.each([
    ['a key', { key: MOVING }],
    ['slots', { slots: [0, 5461] }],
  ] as const)('when %s has moved there', async (_kind, scope) => {
    const d1 = router({ shards: two() });
    expect(await rows(d1, 'select n from users where id = ?', MOVING)).toEqual([[numberOf(MOVING)]]);
    await (await begin(scope, 's2')).finish();
    const byKey: Record<string, Run> = {
      read: (on) => rows(on, 'select n from users where id = ?', MOVING),
      list: (on) => rows(on, 'select n from users where id in (?, ?)', MOVING, ON_S1),
      delete: (on) => write(on, 'delete from users where id = ?', MOVING),
      insert: (on) => write(on, "insert into posts (id, user_id, n) values ('x', ?, 1)", MOVING),
    };
    await expectRefused(byKey, () => d1, databases(), refused);
  });

  it('or at least an error, when all that it has is a key, and it owns no slot', async () => {
    await makeTables();
    await fill(router({ shards: two() }));
    // Registered later, so that it owns nothing.
    expect(await rows(router(), 'select count(*) from users')).toEqual([[30]]);
    await (await begin({ key: MOVING }, 's2')).finish();
    expect(await rows(router(), 'select count(*) from users')).toEqual([[30]]);
    const { 'an insert': _insert, 'a batch of inserts': _batch, ...ofAll } = { ...READS, ...WRITES };
    const code = expect.stringMatching(/^(MISSING_SHARD|STALE_ROUTE)$/);
    await expectRefused(ofAll, () => router({ shards: two(), moveTimeout: 60 }), databases(), { code });
  });
});

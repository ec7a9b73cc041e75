import { beforeEach, describe, expect, it } from 'vitest';
import { expectedSchema, inspectShards, MigrationRefusedError, migrateShards } from '../../../src';
import { failureOf } from '../../placement/fixture';
import { Fleet, PLACES, rowsEverywhere } from '../../support/isolates';
import { resetDatabases } from '../../support/reset';
import { plain, shards } from '../../support/shards';
import { bundleOf, FILES, foldersOf, open } from '../fixture';

beforeEach(resetDatabases);

const TAGS = FILES.map(([tag]) => tag);
const run = (shard: string, sql: string) => shards(7)[shard]?.prepare(sql).run();

describe('drift', () => {
  it.each([3, 7])('on one of %i shards: nothing is begun on any', async (count) => {
    const db = open(new Fleet('coordinator').isolate(count));
    const expected = expectedSchema(plain);
    await migrateShards(db, bundleOf(FILES.slice(0, 2)), { expected });
    for (let i = 0; i < 7; i++) await run('s1', `create table extra${i} (id integer)`);
    await run('s2', 'create index by_email on users (email)');

    for (const dryRun of [false, true]) {
      const error = await failureOf(migrateShards(db, bundleOf(), { expected, dryRun }));
      expect(error).toBeInstanceOf(MigrationRefusedError);
      const { obstacles } = error as MigrationRefusedError;
      expect(obstacles.map(({ shard, kind, differences }) => [shard, kind, differences?.length])).toEqual([
        ['s1', 'drift', 7],
        ['s2', 'drift', 1],
      ]);
      expect(error.message).toContain('s1 is not what its migrations make: table extra0 is not in the migrations; ');
      expect(error.message).toContain('table extra4 is not in the migrations; and 2 more.');
      expect(error.message).toContain('index by_email is not in the migrations.');
    }
    const applied = await rowsEverywhere('select count(*) as n from __drizzle_migrations', shards(count));
    expect(new Set(applied.map(({ n }) => n))).toEqual(new Set([2]));

    await run('s2', 'drop index by_email');
    for (let i = 0; i < 7; i++) await run('s1', `drop table extra${i}`);
    const { shards: report } = await migrateShards(db, bundleOf(), { expected });
    expect(new Set(report.map(({ state }) => state))).toEqual(new Set(['done']));
    expect((await migrateShards(db, bundleOf(), { expected })).shards[0]?.state).toBe('current');
  });

  it('is read in the batch of the ledger, and not at all when it is not asked for', async () => {
    const isolate = new Fleet('coordinator').isolate(3);
    const db = open(isolate);
    await migrateShards(db, bundleOf());
    const asksOf = async (options: Parameters<typeof inspectShards>[2]) => {
      isolate.reset();
      await inspectShards(db, bundleOf(), options);
      return isolate.total.log.map(({ statements }) => statements.length);
    };
    const without = await asksOf({});
    expect(without).toHaveLength(3);
    const withDrift = await asksOf({ expected: expectedSchema(plain) });
    expect(withDrift).toEqual(without.map((count) => count + 4));
  });

  it('is not judged where the ledger is not what the folder says, or the folder begins with tables that it does not tell', async () => {
    const db = open(new Fleet('coordinator').isolate(2));
    await migrateShards(db, bundleOf(FILES.slice(0, 2)));
    const expected = expectedSchema(plain);
    const edited = bundleOf(FILES.map(([tag, sql], i) => [tag, i === 1 ? `${sql} ` : sql] as const));
    const { shards: found } = await inspectShards(db, edited, { expected });
    expect(found.map(({ drift, obstacles }) => [drift, obstacles.map(({ kind }) => kind)])).toEqual(
      Array(2).fill([undefined, ['edited']]),
    );
    const pulled = bundleOf([['0000_users', '/* CREATE TABLE x (id text) */'], ...FILES.slice(1)]);
    const other = open(new Fleet('coordinator').isolate({ a: shards(3).s2 as D1Database }));
    const fresh = open(new Fleet('coordinator').isolate({ a: shards(4).s3 as D1Database }));
    await run('s3', 'create table users (id text primary key, email text)');
    await run('s3', 'create table countries (code text)');
    await run('s2', 'create table users (id text primary key, email text)');
    await run('s2', 'create table countries (code text)');
    expect((await migrateShards(other, pulled, { expected })).shards[0]?.state).toBe('done');
    const known = expectedSchema(plain, { introspected: async () => ['create table users (id text primary key)'] });
    expect((await inspectShards(fresh, pulled, { expected: known })).shards[0]?.drift).toHaveLength(2);
  });
});

describe.each(PLACES)('a look, with the catalog in the %s', (place) => {
  it('says where each shard stands, and makes no cluster', async () => {
    const before = await everything();
    const db = open(new Fleet(place).isolate(3));
    const { shards: found, obstacles } = await inspectShards(db, bundleOf(), { expected: expectedSchema(plain) });
    expect(found).toEqual(
      ['s0', 's1', 's2'].map((shard) => ({ shard, applied: [], pending: TAGS, obstacles: [], drift: [] })),
    );
    expect(obstacles).toEqual([]);
    const { shards: report } = await migrateShards(db, bundleOf(), { dryRun: true });
    expect(report[1]).toEqual({ shard: 's1', state: 'untouched', applied: [], pending: TAGS });
    expect(await everything()).toEqual(before);
  });

  it('sees a shard that is to join, one that is behind, and files that cannot be applied', async () => {
    const fleet = new Fleet(place);
    await migrateShards(open(fleet.isolate(2)), bundleOf(FILES.slice(0, 2)));
    await run('s1', "insert into __drizzle_migrations (hash, created_at) values ('x', 1900000000000)");
    const before = await everything();
    const files = [...FILES, ['0004_rows', "INSERT INTO `users` (`id`) VALUES ('a');"] as const];
    const { shards: found, obstacles } = await inspectShards(open(fleet.isolate(3)), bundleOf(files));
    expect(
      found.map(({ shard, applied, pending, obstacles: own }) => [shard, applied.length, pending.length, own.length]),
    ).toEqual([
      ['s0', 2, 3, 0],
      ['s1', 2, 3, 1],
      ['s2', 0, 5, 0],
    ]);
    expect(obstacles.map(({ kind, tag }) => [kind, tag])).toEqual([['rows', '0004_rows']]);
    expect(await everything()).toEqual(before);
  });

  it('is not fooled by swapped bindings, nor by one that is missing', async () => {
    const fleet = new Fleet(place);
    await migrateShards(open(fleet.isolate(3)), bundleOf());
    const { s0, s1, s2 } = shards(3) as Record<'s0' | 's1' | 's2', D1Database>;
    const swapped = open(fleet.isolate({ s0, s1: s2, s2: s1 }));
    await expect(inspectShards(swapped, bundleOf())).rejects.toMatchObject({ code: 'SHARD_IDENTITY' });
    const without = open(fleet.isolate({ s0, s1 }));
    await expect(inspectShards(without, bundleOf())).rejects.toMatchObject({ code: 'MISSING_SHARD', shard: 's2' });
  });
});

it('the bundle names the last migration of a ledger without names', async () => {
  const db = open(new Fleet('coordinator').isolate(2));
  await migrateShards(db, bundleOf());
  expect((await db.$cluster.schemaVersion()).shards[0]?.tag).toBeUndefined();
  expect((await db.$cluster.schemaVersion(bundleOf())).shards[0]?.tag).toBe('0003_email');
  expect((await db.$cluster.schemaVersion(foldersOf())).shards[0]?.tag).toBe('20260203120000_email');
  expect((await db.$cluster.schemaVersion(bundleOf(FILES.slice(0, 1)))).shards[0]?.tag).toBeUndefined();
});

async function everything() {
  return rowsEverywhere('select name, sql from sqlite_master order by name', shards(3));
}

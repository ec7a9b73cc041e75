import { beforeEach, describe, expect, it } from 'vitest';
import { MigrationFailedError, MigrationRefusedError, migrateShards } from '../../src';
import { failureOf } from '../placement/fixture';
import { Fleet, rowsEverywhere } from '../support/isolates';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';
import { bundleOf, FILES, foldersOf, open } from './fixture';

beforeEach(resetDatabases);

const TAGS = FILES.map(([tag]) => tag);
const APPLIED = 'select count(*) as n from __drizzle_migrations';

/** Shards that have applied the first two files. */
async function begun(count: number) {
  const db = open(new Fleet('coordinator').isolate(count));
  await migrateShards(db, bundleOf(FILES.slice(0, 2)));
  return db;
}

describe('what a shard refuses', () => {
  it.each([
    [3, 's1', 1],
    [7, 's0', 6],
    [7, 's4', 1],
  ])(
    'of %i shards, on %s, %i at a time: the others are reported, and the next run goes on',
    async (count, bad, concurrency) => {
      const db = await begun(count);
      const database = shards(count)[bad] as D1Database;
      await database.prepare("insert into users (id, email) values ('a', 'same'), ('b', 'same')").run();

      const seen: string[] = [];
      const onProgress = ({ shard, state }: { shard: string; state: string }) => seen.push(`${shard} ${state}`);
      const error = await failureOf(migrateShards(db, bundleOf(), { concurrency, onProgress }));
      expect(error).toBeInstanceOf(MigrationFailedError);
      expect(error).toMatchObject({ code: 'MIGRATION_FAILED', shard: bad });
      expect(error.message).toContain('UNIQUE constraint failed: users.email');
      const { report } = error as MigrationFailedError;
      const names = Object.keys(shards(count));
      const at = names.indexOf(bad);
      expect(report.shards.map(({ shard, state }) => `${shard} ${state}`)).toEqual(
        names.map((name, i) => `${name} ${i < at ? 'done' : i === at ? 'failed' : 'untouched'}`),
      );
      expect(report.shards[at]).toMatchObject({ applied: [], pending: TAGS.slice(2) });
      expect(seen).toEqual(names.slice(0, at + 1).map((name, i) => `${name} ${i < at ? 'done' : 'failed'}`));
      expect((await rowsEverywhere(APPLIED, shards(count))).map(({ n }) => n)).toEqual(
        names.map((_, i) => (i < at ? 4 : 2)),
      );
      // All of the shard was rolled back, also the file before the one that failed.
      expect(await database.prepare('select sum(visits) as n from users').first('n')).toBe(0);
      expect((await db.$cluster.schemaVersion()).same).toBe(at === 0);

      await database.prepare("update users set email = 'other' where id = 'b'").run();
      const again = await migrateShards(db, bundleOf());
      expect(again.shards.map(({ state }) => state)).toEqual(names.map((_, i) => (i < at ? 'current' : 'done')));
      expect(new Set((await rowsEverywhere(APPLIED, shards(count))).map(({ n }) => n))).toEqual(new Set([4]));
      expect(await database.prepare('select sum(visits) as n from users').first('n')).toBe(2);
    },
  );
});

it('the canary goes first', async () => {
  const db = await begun(3);
  const seen: string[] = [];
  await migrateShards(db, bundleOf(), { canary: 's2', concurrency: 1, onProgress: ({ shard }) => seen.push(shard) });
  expect(seen).toEqual(['s2', 's0', 's1']);
  await expect(migrateShards(db, bundleOf(), { canary: 's9' })).rejects.toThrow('The canary s9 is no shard');
});

it('a new shard gets all of it before it may own anything, and cannot be left out', async () => {
  const fleet = new Fleet('coordinator');
  await migrateShards(open(fleet.isolate(2)), bundleOf());
  const db = open(fleet.isolate(3));
  const { shards: report } = await migrateShards(db, bundleOf());
  expect(report.map(({ shard, state }) => `${shard} ${state}`)).toEqual(['s0 current', 's1 current', 's2 done']);
  expect((await db.$cluster.shards())[2]).toMatchObject({ state: 'adding' });
  expect(await db.$cluster.addShard('s2')).toMatchObject({ state: 'done' });
  expect((await open(fleet.isolate(3)).$cluster.shards())[2]).toMatchObject({ state: 'active' });
  const without = open(fleet.isolate(2));
  await expect(migrateShards(without, bundleOf())).rejects.toMatchObject({ code: 'MISSING_SHARD', shard: 's2' });
});

it('several statements without a breakpoint between them', async () => {
  const db = open(new Fleet('coordinator').isolate(3));
  await migrateShards(db, bundleOf([['0000_two', 'create table a (id text);\ncreate table b (id text);']]));
  const tables = await rowsEverywhere("select name from sqlite_master where name in ('a', 'b')", shards(3));
  expect(tables).toHaveLength(6);
});

describe('what nothing is begun for', () => {
  async function refused(db: Awaited<ReturnType<typeof begun>>, bundle: Parameters<typeof migrateShards>[1]) {
    const before = await rowsEverywhere(APPLIED, shards(3));
    const error = await failureOf(migrateShards(db, bundle));
    expect(error).toBeInstanceOf(MigrationRefusedError);
    expect(error.code).toBe('MIGRATION_REFUSED');
    expect(await failureOf(migrateShards(db, bundle, { dryRun: true }))).toMatchObject({ message: error.message });
    expect(await rowsEverywhere(APPLIED, shards(3))).toEqual(before);
    const { obstacles } = error as MigrationRefusedError;
    for (const { message } of obstacles) expect(error.message).toContain(message);
    return obstacles.map(({ shard, kind, tag }) => [shard, kind, tag]);
  }

  it('a file that was edited', async () => {
    const db = await begun(3);
    const edited = FILES.map(([tag, sql], i) => [tag, i === 1 ? `${sql} ` : sql] as const);
    expect(await refused(db, bundleOf(edited))).toEqual(['s0', 's1', 's2'].map((shard) => [shard, 'edited', TAGS[1]]));
    expect(await refused(db, foldersOf(edited))).toEqual(
      ['s0', 's1', 's2'].map((shard) => [shard, 'edited', '20260201120000_visits']),
    );
  });

  it('a shard that is ahead', async () => {
    const db = await begun(3);
    await shards(3)
      .s1?.prepare("insert into __drizzle_migrations (hash, created_at) values ('x', 1900000000000)")
      .run();
    expect(await refused(db, bundleOf())).toEqual([['s1', 'ahead', undefined]]);
    expect((await db.$cluster.schemaVersion()).same).toBe(false);
  });

  it('a file that is older than one that was applied', async () => {
    const db = open(new Fleet('coordinator').isolate(3));
    await migrateShards(db, bundleOf([FILES[0], FILES[2]].map((file) => [file?.[0] as string, 'select 1'] as const)));
    const files = FILES.map(([tag, sql], i) => [tag, i % 2 ? sql : 'select 1'] as const);
    expect(await refused(db, bundleOf(files))).toEqual(['s0', 's1', 's2'].map((shard) => [shard, 'gap', TAGS[1]]));
  });

  it("a folder of Drizzle 0.45 where 1.0's was applied", async () => {
    const db = open(new Fleet('coordinator').isolate(3));
    await migrateShards(db, foldersOf(FILES.slice(0, 2)));
    expect(await refused(db, bundleOf())).toEqual(['s0', 's1', 's2'].map((shard) => [shard, 'format', undefined]));
  });

  it('rows that would be on every shard; replicated tables have them there', async () => {
    const db = await begun(3);
    const rows = [...FILES, ['0004_rows', "INSERT INTO `users` (`id`) VALUES ('a');"] as const];
    expect(await refused(db, bundleOf(rows))).toEqual([[undefined, 'rows', '0004_rows']]);
    const second = [...FILES, ['0004_rows', 'SELECT 1; insert into main."users" ("id") values (1)'] as const];
    expect(await refused(db, bundleOf(second))).toEqual([[undefined, 'rows', '0004_rows']]);
    const trigger = 'create trigger t after insert on users begin select 1; insert into log values (1); end';
    const onEach = ['create table log (id integer)', trigger, 'insert into log select 1'].join(
      '--> statement-breakpoint\n',
    );
    await migrateShards(db, bundleOf([...FILES, ['0004_log', onEach]]));
    const rowsOfAll = [
      ...FILES,
      ['0004_log', onEach],
      ['0005_rows', "INSERT INTO `countries` VALUES ('fr');"],
    ] as const;
    await migrateShards(db, bundleOf(rowsOfAll));
    expect(await rowsEverywhere('select code from countries', shards(3))).toHaveLength(3);
  });
});

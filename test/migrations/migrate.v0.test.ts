import { mkdirSync, writeFileSync } from 'node:fs';
import { drizzle } from 'drizzle-orm/d1';
import { migrate } from 'drizzle-orm/d1/migrator';
import { drizzle as drizzleV1 } from 'drizzle-orm-v1/d1';
import { migrate as migrateV1 } from 'drizzle-orm-v1/d1/migrator';
import { beforeEach, describe, expect, it } from 'vitest';
import { migrateShards } from '../../src';
import { Fleet, rowsEverywhere } from '../support/isolates';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';
import { bundleOf, FILES, foldersOf, open } from './fixture';

beforeEach(resetDatabases);

const TAGS = FILES.map(([tag]) => tag);
const SCHEMA = "select type, name, sql from sqlite_master where name not like '\\_%' escape '\\' order by name";
const LEDGER = 'select rowid as at, * from __drizzle_migrations order by rowid';

function folder(): string {
  const path = `/tmp/${crypto.randomUUID()}`;
  const { journal, migrations } = bundleOf();
  mkdirSync(`${path}/meta`, { recursive: true });
  writeFileSync(`${path}/meta/_journal.json`, JSON.stringify(journal));
  for (const { idx, tag } of journal.entries) writeFileSync(`${path}/${tag}.sql`, migrations[`m000${idx}`] as string);
  return path;
}

function folderV1(): string {
  const path = `/tmp/${crypto.randomUUID()}`;
  for (const [tag, sql] of Object.entries(foldersOf())) {
    mkdirSync(`${path}/${tag}`, { recursive: true });
    writeFileSync(`${path}/${tag}/migration.sql`, sql);
  }
  return path;
}

describe.each([3, 7])('%i shards', (count) => {
  it('get what they lack, and Drizzle finds nothing left to do', async () => {
    const db = open(new Fleet('coordinator').isolate(count));
    const first = await migrateShards(db, bundleOf(FILES.slice(0, 2)));
    expect(first.shards).toEqual(
      Object.keys(shards(count)).map((shard) => ({ shard, state: 'done', applied: TAGS.slice(0, 2), pending: [] })),
    );
    const second = await migrateShards(db, bundleOf());
    expect(second.shards.map(({ applied }) => applied)).toEqual(Array(count).fill(TAGS.slice(2)));
    const third = await migrateShards(db, bundleOf());
    expect(new Set(third.shards.map(({ state }) => state))).toEqual(new Set(['current']));

    const before = [await rowsEverywhere(SCHEMA, shards(count)), await rowsEverywhere(LEDGER, shards(count))];
    expect(before[1]).toHaveLength(count * FILES.length);
    for (const database of Object.values(shards(count)))
      await migrate(drizzle(database), { migrationsFolder: folder() });
    expect([await rowsEverywhere(SCHEMA, shards(count)), await rowsEverywhere(LEDGER, shards(count))]).toEqual(before);
    expect(await db.$cluster.schemaVersion()).toMatchObject({ same: true, shards: Array(count).fill({ applied: 4 }) });
  });
});

it('the ledger is the one that Drizzle itself writes', async () => {
  const db = open(new Fleet('coordinator').isolate(2));
  const other = shards(3).s2 as D1Database;
  // Drizzle would send D1 the comment at the end of the third file.
  const bundle = bundleOf(FILES.slice(0, 2));
  await migrateShards(db, bundle);
  const path = `/tmp/${crypto.randomUUID()}`;
  mkdirSync(`${path}/meta`, { recursive: true });
  writeFileSync(`${path}/meta/_journal.json`, JSON.stringify(bundle.journal));
  for (const [tag, sql] of FILES.slice(0, 2)) writeFileSync(`${path}/${tag}.sql`, sql);
  await migrate(drizzle(other), { migrationsFolder: path });
  const ledgers = await Promise.all(
    Object.values(shards(3)).map(
      async (shard) => await shard.prepare('select *, typeof(created_at) from __drizzle_migrations').raw(),
    ),
  );
  expect(ledgers[0]).toEqual(ledgers[2]);
  expect(ledgers[1]).toEqual(ledgers[2]);
});

it('folders of Drizzle 1.0, of which its migrate() finds nothing left to do', async () => {
  const db = open(new Fleet('coordinator').isolate(3));
  const folders = foldersOf();
  const { shards: done } = await migrateShards(db, { migrations: folders });
  expect(done[2]).toEqual({ shard: 's2', state: 'done', applied: Object.keys(folders), pending: [] });
  const before = [await rowsEverywhere(SCHEMA, shards(3)), await rowsEverywhere(LEDGER, shards(3))];
  for (const database of Object.values(shards(3)))
    await migrateV1(drizzleV1(database), { migrationsFolder: folderV1() });
  expect([await rowsEverywhere(SCHEMA, shards(3)), await rowsEverywhere(LEDGER, shards(3))]).toEqual(before);
  const version = await db.$cluster.schemaVersion();
  expect(version.shards[1]).toMatchObject({ shard: 's1', tag: Object.keys(folders).at(-1), applied: 4 });
});

it("a ledger of Drizzle 0.45 gets 1.0's names when 1.0's folders are applied", async () => {
  const db = open(new Fleet('coordinator').isolate(3));
  await migrateShards(db, bundleOf(FILES.slice(0, 2)));
  const folders = foldersOf();
  const { shards: done } = await migrateShards(db, folders);
  expect(done[0]?.applied).toEqual(Object.keys(folders).slice(2));
  const ledger = await rowsEverywhere(LEDGER, shards(3));
  expect(ledger.map(({ name }) => name)).toEqual([1, 2, 3].flatMap(() => Object.keys(folders)));
  for (const database of Object.values(shards(3)))
    await migrateV1(drizzleV1(database), { migrationsFolder: folderV1() });
  expect(await rowsEverywhere(LEDGER, shards(3))).toEqual(ledger);
});

it('statements that were planned before know the new tables', async () => {
  const db = open(new Fleet('coordinator').isolate(3));
  await migrateShards(db, bundleOf(FILES.slice(0, 1)));
  await db.$client.prepare("insert into users (id) values ('a'), ('b'), ('c')").run();
  expect(await db.$client.prepare('select * from users order by id').first()).toEqual({ id: 'a', email: null });
  await migrateShards(db, bundleOf());
  expect(await db.$client.prepare('select * from users order by id').first()).toEqual({
    id: 'a',
    email: null,
    visits: 1,
  });
});

it('a dry run says what is lacking, and changes nothing', async () => {
  const db = open(new Fleet('coordinator').isolate(3));
  await migrateShards(db, bundleOf(FILES.slice(0, 1)));
  const before = await rowsEverywhere(SCHEMA, shards(3));
  const seen: string[] = [];
  const { shards: report } = await migrateShards(db, bundleOf(), {
    dryRun: true,
    onProgress: ({ shard }) => seen.push(shard),
  });
  expect(report[1]).toEqual({ shard: 's1', state: 'untouched', applied: [], pending: TAGS.slice(1) });
  expect(await rowsEverywhere(SCHEMA, shards(3))).toEqual(before);
  expect(await rowsEverywhere(LEDGER, shards(3))).toHaveLength(3);
  expect(seen).toEqual([]);
});

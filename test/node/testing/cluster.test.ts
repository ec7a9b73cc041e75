import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { testCluster } from '../../../src/testing/node';
import { clusterCases } from '../../testing/cases';
import { journalBundle, people, schema, tables, users } from '../../testing/schema';
import { foldersFolder, journalFolder } from '../support/folders';

describe('in Node', () => {
  clusterCases(() => testCluster({ shards: ['s-0', 's-1', 's-2'], schema, tables, migrations: journalBundle }));

  it('reads the folders of both versions of drizzle-kit, and seeds', async () => {
    for (const folder of [journalFolder(), foldersFolder()]) {
      await using cluster = await testCluster({
        shards: 2,
        schema,
        tables,
        migrations: folder,
        seed: (db) => db.insert(users).values(people),
      });
      const versions = await cluster.db.$cluster.schemaVersion();
      expect(versions).toMatchObject({ same: true, shards: [{ shard: 'shard-0' }, { shard: 'shard-1' }] });
      expect(await cluster.db.select().from(users)).toHaveLength(people.length);
    }
  });

  it('accepts what else a configuration may say, and goes without coordinator and KV', async () => {
    await using cluster = await testCluster({
      shards: ['east', 'west'],
      schema,
      tables,
      migrations: journalBundle,
      strategy: 'round-robin',
      coordinator: false,
      kv: false,
    });
    for (const person of people.slice(0, 4)) await cluster.db.insert(users).values(person);
    const { database } = cluster.shards.east;
    expect(await database.prepare('select count(*) as n from users').first('n')).toBe(2);
    expect(cluster.bindings.coordinator).toBeUndefined();
    expect(
      await database.prepare("select 1 as yes from sqlite_master where name glob '_shard_catalog_*'").first('yes'),
    ).toBe(1);
  });

  it('leaves no process behind', async () => {
    const before = runtimes();
    const cluster = await testCluster({ shards: 1, schema, tables, migrations: journalBundle });
    const ours = runtimes().filter((id) => !before.includes(id));
    expect(ours.length).toBeGreaterThan(0);
    await cluster.dispose();
    expect(runtimes().filter((id) => ours.includes(id))).toEqual([]);
  });

  it('leaves none when it cannot be opened either', async () => {
    const before = runtimes();
    const bad = { '20260101000000_bad': 'create tabel x' };
    await expect(testCluster({ shards: 1, schema, migrations: bad })).rejects.toThrow('syntax error');
    expect(runtimes()).toEqual(before);
  });

  it('says what is missing', async () => {
    await expect(testCluster({ shards: 1, migrations: './nowhere' })).rejects.toThrow('no migrations of drizzle-kit');
    await expect(testCluster({ shards: { a: {} as D1Database } })).rejects.toThrow('makes its own bindings');
    await expect(testCluster({ shards: [] })).rejects.toThrow('These are no shards');
  });
});

/** The runtimes that this process has started. */
function runtimes(): string[] {
  const { stdout } = spawnSync('pgrep', ['-P', String(process.pid), 'workerd'], { encoding: 'utf8' });
  return stdout.split('\n').filter(Boolean);
}

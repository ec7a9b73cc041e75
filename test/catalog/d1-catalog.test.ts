import { beforeEach, describe, expect, it } from 'vitest';
import type { OpenRequest } from '../../src/catalog/catalog';
import { d1Catalog } from '../../src/catalog/d1-catalog';
import { countingD1 } from '../support/counting-d1';
import { failTimes, faultyD1 } from '../support/faulty-d1';
import { InterceptedD1 } from '../support/intercepted-d1';
import { resetDatabases } from '../support/reset';
import { d1 } from './stores';

const requestOf = (shards: number, keyspaces: number): OpenRequest => ({
  shards: Array.from({ length: shards }, (_, i) => ({ name: `db-${'x'.repeat(40)}-${i}`, region: 'weur', weight: 1 })),
  keyspaces: Array.from({ length: keyspaces }, (_, i) => ({ name: `space-${i}`, strategy: 'hash' })),
});

describe('d1Catalog', () => {
  beforeEach(resetDatabases);

  it('takes one call an operation, and one more where the tables are missing', async () => {
    const database = countingD1(d1());
    const catalog = d1Catalog(database);
    const callsOf = async (operation: () => Promise<unknown>) => {
      database.counts.reset();
      await operation();
      return database.counts.calls;
    };
    expect(await callsOf(() => catalog.map())).toBe(1);
    expect(await callsOf(() => catalog.open(requestOf(3, 1)))).toBe(2);
    expect(await callsOf(() => catalog.open(requestOf(3, 1)))).toBe(1);
    expect(await callsOf(() => catalog.open(requestOf(4, 2)))).toBe(1);
    expect(await callsOf(() => catalog.map())).toBe(1);
    expect(await callsOf(() => catalog.confirm([{ shard: 'a', keyspaces: ['default'] }]))).toBe(1);
    expect(await callsOf(() => catalog.block('ids', 100))).toBe(1);
    expect(await callsOf(() => catalog.sequence('ids', 100, 5))).toBe(1);
    await resetDatabases();
    expect(await callsOf(() => catalog.sequence('ids', 100))).toBe(1);
    expect(await callsOf(() => catalog.block('ids', 100))).toBe(2);
    expect(await callsOf(() => catalog.block('ids', 100))).toBe(1);
  });

  it('stays within D1 limits for 1000 shards and 20 keyspaces in one request', async () => {
    const database = countingD1(d1());
    const catalog = d1Catalog(database);
    const { map, pending } = await catalog.open(requestOf(1000, 20));
    expect(map.shards).toHaveLength(1000);
    expect(Object.values(map.keyspaces).map(({ ranges }) => ranges.length)).toEqual(Array(20).fill(1000));
    expect(pending).toHaveLength(1000);
    const done = pending.map(({ shard, keyspaces }) => ({ shard, keyspaces: keyspaces.map(({ name }) => name) }));
    expect(await catalog.confirm(done)).toEqual({ map, pending: [] });
    for (const { statements } of database.counts.log) {
      for (const { sql, params } of statements) {
        expect(sql.length).toBeLessThan(100_000);
        expect(params.length).toBeLessThanOrEqual(100);
        for (const param of params) expect(String(param).length).toBeLessThan(1_000_000);
      }
    }
  });

  it('leaves nothing behind when it only looks for a map or a sequence', async () => {
    expect(await d1Catalog(d1()).map()).toBeUndefined();
    expect(await d1Catalog(d1()).sequence('users', 10)).toBeUndefined();
    const { results } = await d1().prepare("select name from sqlite_master where name glob '_shard_*'").all();
    expect(results).toEqual([]);
  });

  it('writes no row for a request that brings nothing new', async () => {
    let written = 0;
    const database = new InterceptedD1(d1(), async (_call, run) => {
      const answer = await run();
      for (const { meta } of answer as D1Result[]) written += meta.rows_written;
      return answer;
    });
    const catalog = d1Catalog(database);
    await catalog.open(requestOf(10, 2));
    expect(written).toBeGreaterThan(30);
    written = 0;
    await catalog.open(requestOf(10, 2));
    expect(written).toBe(0);
    // Also where it knows more than the request says.
    await catalog.open({ ...requestOf(8, 1), referenceTables: true });
    await catalog.map();
    await catalog.confirm([]);
    await catalog.sequence('users', 10);
    expect(written).toBe(0);
    const [{ name: shard } = { name: '' }] = requestOf(1, 0).shards;
    await catalog.confirm([{ shard, keyspaces: ['space-0', 'space-1'] }]);
    expect(written).toBe(2);
    await catalog.confirm([{ shard, keyspaces: ['space-0', 'space-1'] }]);
    expect(written).toBe(2);
  });

  it('creates all of a cluster or nothing', async () => {
    const broken = faultyD1(d1(), { failOn: failTimes(1, 'create table', 'Network connection lost') });
    await expect(d1Catalog(broken).open(requestOf(2, 1))).rejects.toThrow('Network connection lost');
    expect(await d1Catalog(d1()).map()).toBeUndefined();
  });

  it('opens to the same map when the answer of first contact was lost', async () => {
    const lossy = faultyD1(d1(), { failOn: failTimes(1, 'create table', 'lost'), when: 'after' });
    await expect(d1Catalog(lossy).open(requestOf(2, 1))).rejects.toThrow('lost');
    const view = await d1Catalog(d1()).map();
    expect(view?.map.epoch).toBe(1);
    expect(await d1Catalog(lossy).open(requestOf(2, 1))).toEqual(view);
  });

  it('does not take another missing table for its own', async () => {
    const catalog = d1Catalog(faultyD1(d1(), { failOn: failTimes(9, '_shard_catalog', 'no such table: users') }));
    await expect(catalog.map()).rejects.toThrow('no such table: users');
    await expect(catalog.block('ids', 1)).rejects.toThrow('no such table: users');
    await expect(catalog.sequence('ids', 1)).rejects.toThrow('no such table: users');
  });
});

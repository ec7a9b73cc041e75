import { env, evictDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { coordinatorCatalog } from '../../src/catalog/coordinator-client';
import { countingCoordinator } from '../support/counting-coordinator';

const namespace = env.SHARD_COORDINATOR;

describe('ShardCoordinator', () => {
  it('keeps everything when it is evicted', async () => {
    const name = crypto.randomUUID();
    const catalog = coordinatorCatalog(namespace, name);
    const view = await catalog.open({
      shards: [{ name: 'a', region: 'apac', weight: 2 }, { name: 'b' }],
      keyspaces: [{ name: 'default', strategy: 'hash' }],
    });
    await catalog.block('ids', 10);
    await catalog.sequence('ids', 5, 100);
    await evictDurableObject(namespace.get(namespace.idFromName(name)));
    expect(await catalog.map()).toEqual(view);
    expect(await catalog.block('ids', 10)).toEqual({ from: 11, to: 20 });
    expect(await catalog.sequence('ids', 5)).toEqual({ from: 106, to: 110 });
  });

  it('takes one RPC an operation, first contact included', async () => {
    const counting = countingCoordinator(namespace);
    const catalog = coordinatorCatalog(counting, crypto.randomUUID());
    await catalog.map();
    await catalog.open({ shards: [{ name: 'a' }], keyspaces: [] });
    await catalog.open({ shards: [{ name: 'a' }], keyspaces: [] });
    await catalog.confirm([{ shard: 'a', keyspaces: [] }]);
    await catalog.map();
    await catalog.block('ids', 1);
    await catalog.sequence('ids', 1);
    await catalog.sequence('ids', 1, 1);
    expect(counting.calls).toEqual(['map', 'open', 'open', 'confirm', 'map', 'block', 'sequence', 'sequence']);
  });

  it('refuses a wrong request before any RPC', async () => {
    const counting = countingCoordinator(namespace);
    const catalog = coordinatorCatalog(counting, crypto.randomUUID());
    await expect(catalog.open({ shards: [], keyspaces: [] })).rejects.toMatchObject({ code: 'CONFIG' });
    await expect(catalog.block('ids', 0)).rejects.toThrow(RangeError);
    await expect(catalog.sequence('ids', 0)).rejects.toThrow(RangeError);
    await expect(catalog.sequence('ids', 1, 0.5)).rejects.toThrow(RangeError);
    expect(counting.calls).toEqual([]);
  });

  it('answers with an error instead of throwing it, which the runtime would report as uncaught', async () => {
    const stub = namespace.get(namespace.idFromName(crypto.randomUUID()));
    expect(await stub.call('confirm', [[]])).toEqual({ error: expect.stringContaining('no cluster yet') });
    expect(await stub.call('constructor', [])).toEqual({ error: expect.stringContaining('no operation') });
    const last = Number.MAX_SAFE_INTEGER;
    expect(await stub.call('sequence', ['ids', 1, last])).toEqual({
      error: expect.stringContaining('counter_exhausted'),
    });
    expect(await stub.call('sequence', ['ids', 1, last - 1])).toEqual({ value: { from: last, to: last } });
  });

  it('keeps clusters of different names apart', async () => {
    const names = [crypto.randomUUID(), crypto.randomUUID()];
    const [first, second] = names.map((name) => coordinatorCatalog(namespace, name));
    await first?.open({ shards: [{ name: 'a' }], keyspaces: [] });
    expect(await second?.map()).toBeUndefined();
    expect(await first?.block('ids', 5)).toEqual({ from: 1, to: 5 });
    expect(await second?.block('ids', 5)).toEqual({ from: 1, to: 5 });
  });
});

import { describe, expect, it } from 'vitest';
import { Telemetry } from '../../src/telemetry/counters';

describe('the counters of a cluster', () => {
  it('begin at nothing', () => {
    expect(new Telemetry().snapshot()).toEqual({
      shards: [],
      kv: { reads: 0, writes: 0, failures: 0 },
      catalog: { calls: 0, failures: 0 },
    });
  });

  it('count calls, failures, retries and latency of each shard', () => {
    const telemetry = new Telemetry();
    telemetry.d1('east', 10, false);
    telemetry.d1('west', 4, false);
    telemetry.d1('east', 30, true);
    telemetry.retry('east', 'transient');
    telemetry.retry('east', 'moved');
    telemetry.retry('east', 'transient');
    const east = { count: 2, meanMs: 20, maxMs: 30, p50Ms: expect.closeTo(10.76, 1), p90Ms: 30, p99Ms: 30 };
    const west = { count: 1, meanMs: 4, maxMs: 4, p50Ms: 4, p90Ms: 4, p99Ms: 4 };
    expect(telemetry.snapshot().shards).toEqual([
      { name: 'east', calls: 2, errors: 1, retries: 3, retryReasons: { transient: 2, moved: 1 }, latency: east },
      { name: 'west', calls: 1, errors: 0, retries: 0, retryReasons: {}, latency: west },
    ]);
  });

  it('hold one entry for each name, whatever is counted first and whatever the name', () => {
    const telemetry = new Telemetry();
    for (const name of ['__proto__', 'constructor', '__proto__']) {
      telemetry.retry(name, 'busy');
      telemetry.d1(name, 1, false);
    }
    const { shards } = telemetry.snapshot();
    expect(shards.map(({ name, calls, retries }) => [name, calls, retries])).toEqual([
      ['__proto__', 2, 2],
      ['constructor', 1, 1],
    ]);
  });

  it('count a call whose duration is unknown', () => {
    const telemetry = new Telemetry();
    telemetry.d1('east', Number.NaN, true);
    expect(telemetry.snapshot().shards[0]).toMatchObject({ calls: 1, errors: 1, latency: { count: 0, meanMs: 0 } });
  });

  it('count KV and the catalog', () => {
    const telemetry = new Telemetry();
    for (let i = 0; i < 5; i++) telemetry.kvRead();
    for (let i = 0; i < 4; i++) telemetry.kvWrite();
    for (let i = 0; i < 3; i++) telemetry.kvFailure();
    for (let i = 0; i < 2; i++) telemetry.catalogCall();
    telemetry.catalogFailure();
    const { kv, catalog } = telemetry.snapshot();
    expect({ kv, catalog }).toEqual({
      kv: { reads: 5, writes: 4, failures: 3 },
      catalog: { calls: 2, failures: 1 },
    });
  });

  it('are told as plain data, which does not change any more', () => {
    const telemetry = new Telemetry();
    telemetry.d1('east', 5, false);
    telemetry.retry('east', 'busy');
    const snapshot = telemetry.snapshot();
    const json = JSON.stringify(snapshot);
    expect(JSON.parse(json)).toEqual(snapshot);
    telemetry.d1('east', 9, true);
    telemetry.retry('east', 'busy');
    telemetry.kvRead();
    telemetry.catalogCall();
    expect(JSON.stringify(snapshot)).toBe(json);
  });
});

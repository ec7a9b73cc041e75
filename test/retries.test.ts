import { beforeEach, describe, expect, it } from 'vitest';
import { type PartialWriteError, shardedD1, UnknownOutcomeError } from '../src';
import { countingD1 } from './support/counting-d1';
import { type Faults, failTimes, faultyD1 } from './support/faulty-d1';
import { resetDatabases } from './support/reset';
import { rowsPerShard, runEverywhere } from './support/seed';
import { shards } from './support/shards';

const LOST = 'D1_ERROR: Network connection lost.';
const UNRESOLVED = 'D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.';
const BUSY = 'D1_ERROR: database is locked: SQLITE_BUSY';
const OVERLOADED = 'D1_ERROR: D1 DB is overloaded. Requests queued for too long.';
const three = shards(3);

beforeEach(async () => {
  await resetDatabases();
  await runEverywhere(three, ['create table users (id text primary key, n integer)']);
});

/** One shard of which fails as told, and counts the calls that reach the fault. */
function withFaults(faults: Faults, count = 1) {
  const all = shards(count);
  const counted = countingD1(faultyD1(all.s0 as D1Database, faults));
  const calls = () => counted.counts.calls;
  const d1 = shardedD1({ shards: { ...all, s0: counted } });
  /** Makes the cluster, so that only the calls of the statement itself are counted after. */
  const connect = () => d1.prepare("pragma table_info('users')").all();
  return { d1, calls, connect };
}

const read = 'select id from users where id = ?';
const write = 'insert into users (id, n) values (?, 1)';
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error) => error,
  );

describe('a transient error of D1', () => {
  it.each([LOST, UNRESOLVED, BUSY])('in a read is passed over: %s', async (message) => {
    const { d1, calls } = withFaults({ failOn: failTimes(2, 'where id', message) });
    await d1.prepare(write).bind('a').run();
    const before = calls();
    expect(await d1.prepare(read).bind('a').raw()).toEqual([['a']]);
    expect(calls() - before).toBe(3);
  });

  it('in a read over all shards is passed over', async () => {
    const { d1 } = withFaults({ failOn: failTimes(1, 'order by', LOST) }, 3);
    const ids = Array.from({ length: 20 }, (_, i) => `u${i + 10}`);
    for (const id of ids) await d1.prepare(write).bind(id).run();
    expect(await d1.prepare('select id from users order by id').raw()).toEqual(ids.map((id) => [id]));
  });

  it('that does not pass is thrown after four tries', async () => {
    const { d1, calls } = withFaults({ failOn: failTimes(100, 'where id', LOST) });
    await d1.prepare(write).bind('a').run();
    const before = calls();
    expect(await failureOf(d1.prepare(read).bind('a').all())).toMatchObject({ code: 'SHARD_QUERY', shard: 's0' });
    expect(calls() - before).toBe(4);
  });

  it('in a write that may have been applied is never repeated', async () => {
    const { d1, calls, connect } = withFaults({ failOn: failTimes(1, 'insert into users', LOST), when: 'after' });
    await connect();
    const before = calls();
    const error = await failureOf(d1.prepare(write).bind('a').run());
    expect(error).toBeInstanceOf(UnknownOutcomeError);
    expect(error).toMatchObject({ code: 'UNKNOWN_OUTCOME', shard: 's0', tables: ['users'] });
    // One to ask for the table's shape, one that wrote.
    expect(calls() - before).toBe(2);
    // This time it was applied, and the user can see it.
    expect(await d1.prepare(read).bind('a').raw()).toEqual([['a']]);
  });

  it.each([UNRESOLVED, BUSY])(
    'in a write that cannot have been applied is passed over, and the row is written once: %s',
    async (message) => {
      const { d1 } = withFaults({ failOn: failTimes(2, 'insert into users', message) });
      await d1.prepare(write).bind('a').run();
      expect(await rowsPerShard(shards(1), 'users')).toEqual({ s0: 1 });
    },
  );

  it('in a write to several shards is told of the shard whose outcome is unknown', async () => {
    // The rehearsal ends in an error of its own; the write after it is the second insert that the shard sees.
    let inserts = 0;
    const failOn = (sql: string) =>
      sql.startsWith('insert into users') && ++inserts === 2 ? new Error(LOST) : undefined;
    const { d1 } = withFaults({ failOn, when: 'after' }, 3);
    const values = Array.from({ length: 20 }, (_, i) => `('u${i}', 1)`).join(', ');
    const error = (await failureOf(
      d1.prepare(`insert into users (id, n) values ${values}`).run(),
    )) as PartialWriteError;
    expect(error.code).toBe('PARTIAL_WRITE');
    expect(error.failed.map(({ shard, error }) => [shard, error?.code])).toEqual([['s0', 'UNKNOWN_OUTCOME']]);
  });

  it('is not what an overloaded database says: that is thrown at once', async () => {
    const { d1, calls, connect } = withFaults({ failOn: failTimes(1, 'where id', OVERLOADED) });
    await connect();
    const before = calls();
    expect(await failureOf(d1.prepare(read).bind('a').all())).toMatchObject({ code: 'SHARD_QUERY' });
    // One to ask for the table's shape, one that failed.
    expect(calls() - before).toBe(2);
  });
});

import { beforeEach, describe, expect, it } from 'vitest';
import { type PartialWriteError, StaleRouteError } from '../../src';
import { InterceptedD1 } from '../support/intercepted-d1';
import {
  atEachStop,
  begin,
  databases,
  failureOf,
  fill,
  IDS,
  KINDS,
  MOVING,
  makeTables,
  NAMES,
  type Name,
  numberOf,
  ON_S1,
  pause,
  router,
  rows,
  rowsOnShards,
  SCOPES,
  whileStopped,
  write,
} from './moving';

const SUM = IDS.reduce((sum, id) => sum + numberOf(id), 0);

/** Reads of rows of any key, and what they give when `n` of every user has been raised by `more`. */
const READS: Record<string, { sql: string; expected: (more: number) => unknown[][] }> = {
  'rows in order': {
    sql: 'select id, n from users order by n',
    expected: (more) => IDS.map((id) => [id, numberOf(id) + more]),
  },
  'a page': {
    sql: 'select id from users order by n desc limit 5 offset 3',
    expected: () =>
      IDS.slice(-8, -3)
        .reverse()
        .map((id) => [id]),
  },
  aggregates: {
    sql: 'select count(*), sum(n), count(distinct n) from users',
    expected: (more) => [[30, SUM + 30 * more, 30]],
  },
  'a join within keys': {
    sql: 'select count(*), sum(p.n) from users u join posts p on p.user_id = u.id',
    expected: () => [[60, 2 * SUM]],
  },
  'a join across keys': {
    sql: 'select a.id, b.id from users a join users b on b.n = a.n + 1 order by a.n',
    expected: () => IDS.slice(1).map((id, i) => [IDS[i], id]),
  },
  'a subquery over all': {
    sql: 'select id from users where n = (select max(n) from users)',
    expected: () => [['u29']],
  },
  'one key beside all': {
    sql: 'select count(*) from users a join users b where a.id = ?',
    expected: () => [[30]],
  },
};
const paramsOf = (sql: string) => (sql.includes('?') ? [MOVING] : []);

/** Moves one thing after another until it is told to stop, with pauses of any length between the steps. */
function keepMoving() {
  let going = true;
  const random = (max: number) => Math.floor(Math.random() * max);
  const run = async () => {
    let moves = 0;
    const places = { key: 's0', slots: 's0' } as Record<string, Name>;
    for (; going; moves++) {
      const kind = moves % 2 === 0 ? 'key' : 'slots';
      const to = NAMES.filter((name) => name !== places[kind])[random(2)] as Name;
      places[kind] = to;
      // A range without the key: its own moves would lock the slot.
      const mover = await begin(kind === 'key' ? { key: MOVING } : { slots: [3000, 5461] }, to);
      while (await mover.next()) await pause(random(6));
      // Writes to all rows wait for a moment without a move.
      await pause(random(40));
    }
    return moves;
  };
  const done = run();
  return async () => {
    going = false;
    return done;
  };
}

beforeEach(async () => {
  await makeTables();
  await fill(router());
});

describe.each(KINDS)('reads over all shards, wherever the mover of %s stands still', (kind) => {
  it('find each row once; only while two shards have rows they wait', async () => {
    const warm = router();
    await atEachStop(kind, async (mover, stop) => {
      const reads = [warm, router()].flatMap((d1) =>
        Object.values(READS).map(({ sql }) => rows(d1, sql, ...paramsOf(sql))),
      );
      const found = await whileStopped(mover, stop === 'land', Promise.all(reads));
      const expected = Object.values(READS).map((one) => one.expected(0));
      expect(found, stop).toEqual([...expected, ...expected]);
    });
  });
});

describe('while movers run', () => {
  it('reads over all shards find each row once', async () => {
    const stop = keepMoving();
    const until = Date.now() + 1200;
    const reader = async (d1: D1Database) => {
      for (let rounds = 0; ; rounds++) {
        if (Date.now() >= until) return rounds;
        for (const [name, { sql, expected }] of Object.entries(READS)) {
          expect(await rows(d1, sql, ...paramsOf(sql)), name).toEqual(expected(0));
        }
      }
    };
    const rounds = await Promise.all([router(), router()].map(reader));
    expect(await stop()).toBeGreaterThan(0);
    expect(Math.min(...rounds)).toBeGreaterThan(0);
  });

  it('writes to all rows hit each row once, and so do writes by key between them', async () => {
    const stop = keepMoving();
    const until = Date.now() + 1000;
    const totals = { all: 0, moving: 0, copies: 0 };
    const repeat = async (run: () => Promise<unknown>) => {
      while (Date.now() < until) await run();
    };
    const [a, b] = [router(), router()];
    await Promise.all([
      repeat(async () => {
        expect((await write(a, 'update users set n = n + 100')).meta.changes).toBe(30);
        totals.all++;
      }),
      repeat(async () => {
        expect(await rows(b, 'update users set n = n + 100 returning id')).toHaveLength(30);
        totals.all++;
      }),
      repeat(async () => {
        await write(b, 'update users set n = n + 100000 where id = ?', MOVING);
        totals.moving++;
      }),
      repeat(async () => {
        const copy = `insert into posts (id, user_id, n) select 'c${totals.copies++}' || id, id, -1 from users`;
        expect((await write(a, copy)).meta.changes).toBe(30);
        await pause(50);
      }),
    ]);
    await stop();
    expect(Math.min(totals.all, totals.moving, totals.copies)).toBeGreaterThan(0);
    const found = await rowsOnShards('select id, n from users');
    expect(found.map(([, id, n]) => [id, n]).sort()).toEqual(
      IDS.map((id) => [id, numberOf(id) + 100 * totals.all + (id === MOVING ? 100000 * totals.moving : 0)]).sort(),
    );
    const copies = await rowsOnShards('select count(*), count(distinct id) from posts where n = -1');
    expect(copies.reduce((sum, [, n]) => sum + Number(n), 0)).toBe(30 * totals.copies);
    for (const [name, n, distinct] of copies) expect(distinct, String(name)).toBe(n);
    // None holds moves off any more.
    expect(await rowsOnShards("select id from _shard_moves where side = 'pin'")).toEqual([]);
  });

  it('writes to a table that is whole on every shard come in one order everywhere', async () => {
    for (const d1 of Object.values(databases())) {
      await write(d1, 'create table rates (id text primary key, n integer)');
      await write(d1, "insert into rates values ('a', 1)");
    }
    const config = { tables: { posts: { key: 'user_id' }, rates: { replicated: true } } } as const;
    const stop = keepMoving();
    const changes = ['n * 3 % 1009', 'n + 7', 'n * n % 997'];
    const writer = async (change: string) => {
      const d1 = router(config);
      for (let i = 0; i < 5; i++) await write(d1, `update rates set n = ${change}`);
    };
    await Promise.all(changes.map(writer));
    await stop();
    const [first, ...others] = (await rowsOnShards('select n from rates')).map(([, n]) => n);
    expect(others).toEqual([first, first]);
  });

  it('rows that are found first and written then are hit once', async () => {
    const stop = keepMoving();
    const d1 = router();
    for (let round = 1; round <= 20; round++) {
      const { meta } = await write(d1, 'update users set n = n + 100 where n < ? order by n limit 30', 100 * round);
      expect(meta.changes).toBe(30);
    }
    await stop();
    expect(await rows(d1, 'select id, n from users order by n')).toEqual(IDS.map((id) => [id, numberOf(id) + 2000]));
  });
});

describe('a write to all rows whose pins are taken away', () => {
  /** Takes the pin of a shard away as soon as it is placed. */
  const losing = (...names: Name[]) => {
    const lossy = names.map((name) => {
      const d1 = new InterceptedD1(databases()[name], async (call, run) => {
        const result = await run();
        const placed = call.statements.some(({ sql }) => sql.startsWith('insert into _shard_moves'));
        if (placed && lost-- > 0) await write(databases()[name], "delete from _shard_moves where side = 'pin'");
        return result;
      });
      return [name, d1] as const;
    });
    let lost = names.length;
    return router({ shards: { ...databases(), ...Object.fromEntries(lossy) } });
  };
  const ADD = 'update users set n = n + 100';

  it('is told which shards have it, when one has lost its pin', async () => {
    const error = (await failureOf(write(losing('s1'), ADD))) as PartialWriteError;
    expect(error.code).toBe('PARTIAL_WRITE');
    expect(error.failed.map(({ shard }) => shard)).toEqual(['s1']);
    const lowest = await rowsOnShards('select min(n) >= 100 from users');
    expect(lowest).toEqual([
      ['s0', 1],
      ['s1', 0],
      ['s2', 1],
    ]);
    expect(await rowsOnShards("select id from _shard_moves where side = 'pin'")).toEqual([]);
  });

  it('begins again when all have lost theirs', async () => {
    expect((await write(losing('s0', 's1', 's2'), ADD)).meta.changes).toBe(30);
    expect(await rowsOnShards("select id from _shard_moves where side = 'pin'")).toEqual([]);
    expect(await rows(router(), 'select min(n), max(n) from users')).toEqual([[100, 129]]);
  });

  it('holds moves off no longer than until they expire', async () => {
    const pin = (expires: string) =>
      `insert into _shard_moves (id, side, phase, expires) values (${expires.length}, 'pin', 'lock', ${expires})`;
    for (const d1 of Object.values(databases())) await write(d1, pin('unixepoch() - 1'));
    const mover = await begin(SCOPES.slots, 's1');
    await mover.finish();
    await write(databases().s2, pin('unixepoch() + 60'));
    const waiting = (await begin(SCOPES.slots, 's2')).open();
    expect(await Promise.race([waiting, pause(25).then(() => 'waits')])).toBe('waits');
    await write(databases().s2, "delete from _shard_moves where side = 'pin'");
    await waiting;
  });
});

describe('when a digest does not add up for good', () => {
  it.each<[string, (d1: D1Database) => Promise<unknown>]>([
    ...Object.entries(READS).map(
      ([name, { sql }]) =>
        [name, (d1: D1Database) => rows(d1, sql, ...paramsOf(sql))] as [string, (d1: D1Database) => Promise<unknown>],
    ),
    ['an update of all rows', (d1) => write(d1, 'update users set n = 0')],
    ['rows that are found first', (d1) => write(d1, 'delete from users where n < 100 order by n limit 3')],
    ['a batch', (d1) => d1.batch([d1.prepare('select count(*) from users')])],
  ])('%s: STALE_ROUTE, and nothing is written', async (_name, run) => {
    await write(databases().s1, 'update _shard_identity set digest = digest + 5');
    const d1 = router({ moveTimeout: 60 });
    const error = await failureOf(run(d1));
    expect(error).toBeInstanceOf(StaleRouteError);
    expect(error).toMatchObject({ code: 'STALE_ROUTE' });
    // Keys are not concerned.
    for (const id of [MOVING, ON_S1])
      expect(await rows(d1, 'select n from users where id = ?', id)).toEqual([[numberOf(id)]]);
    expect(await rowsOnShards('select id from users')).toHaveLength(30);
    expect(await rowsOnShards("select id from _shard_moves where side = 'pin'")).toEqual([]);
  });
});

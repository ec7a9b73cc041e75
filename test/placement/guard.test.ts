import { beforeEach, describe, expect, it } from 'vitest';
import { MoveInProgressError } from '../../src';
import {
  atEachStop,
  begin,
  failureOf,
  fill,
  holdsWrites,
  homeOf,
  KINDS,
  MOVING,
  makeTables,
  numberOf,
  ON_S1,
  ON_S2,
  router,
  rows,
  rowsOnShards,
  SCOPES,
  STAYING,
  whileStopped,
  write,
} from './moving';

const N = numberOf(MOVING);
const USER = 'select n from users where id = ?';
const POSTS = 'select u.n, p.id from users u join posts p on p.user_id = u.id where u.id = ? order by p.id';
const ITS_POSTS = [
  [N, `p${N}`],
  [N, `q${N}`],
];
const usersOnShards = (id: string) => rowsOnShards('select id, n from users where id = ?', id);

beforeEach(async () => {
  await makeTables();
  await fill(router());
});

describe.each(KINDS)('while %s moves, wherever the mover stands still', (kind) => {
  it('reads by key find the rows once, and never wait', async () => {
    const options = { moveTimeout: 1 };
    const warm = router(options);
    await atEachStop(kind, async (_mover, stop) => {
      for (const d1 of [warm, router(options)]) {
        expect(await rows(d1, USER, MOVING), stop).toEqual([[N]]);
        expect(await rows(d1, POSTS, MOVING), stop).toEqual(ITS_POSTS);
        expect(await rows(d1, USER, STAYING), stop).toEqual([[numberOf(STAYING)]]);
      }
    });
  });

  it('so do those of a router whose map is from before', async () => {
    let stale = router({ moveTimeout: 1 });
    await rows(stale, USER, STAYING);
    await atEachStop(kind, async (mover, stop) => {
      expect(await rows(stale, USER, MOVING), stop).toEqual([[N]]);
      await mover.finish();
      expect(await rows(stale, POSTS, MOVING), stop).toEqual(ITS_POSTS);
      // For the next move.
      stale = router({ moveTimeout: 1 });
      await rows(stale, USER, STAYING);
    });
  });

  it('writes by key are applied once, at once or when the move is through', async () => {
    const [warm, other] = [router(), router({ exactlyOnce: true })];
    let moves = 0;
    await atEachStop(kind, async (mover, stop, to) => {
      const added = `x${++moves}`;
      const work = Promise.all([
        write(warm, 'update users set n = n + 100 where id = ?', MOVING),
        write(other, 'update users set n = n + 1000 where id = ?', MOVING),
        write(router(), 'update posts set n = n + 1 where user_id = ? and id = ?', MOVING, `p${N}`),
        write(other, 'insert into posts (id, user_id, n) values (?, ?, 1)', added, MOVING),
        write(warm, 'delete from posts where user_id = ? and id = ?', MOVING, `x${moves - 1}`),
      ]);
      await whileStopped(mover, holdsWrites(stop), work);
      await mover.finish();
      expect(await usersOnShards(MOVING), stop).toEqual([[to, MOVING, N + 1100 * moves]]);
      expect(await rowsOnShards('select id, n from posts where user_id = ? order by id', MOVING), stop).toEqual([
        [to, `p${N}`, N + moves],
        [to, `q${N}`, N],
        [to, added, 1],
      ]);
    });
  });

  it('a list of keys on several shards gives each row once', async () => {
    const keys = [MOVING, STAYING, ON_S1, ON_S2];
    const within = 'in (?, ?, ?, ?)';
    const warm = router();
    await atEachStop(kind, async (mover, stop) => {
      const reads = [warm, router()].map((d1) =>
        Promise.all([
          rows(d1, `select id, n from users where id ${within} order by id`, ...keys),
          rows(d1, `select count(*), sum(n) from users where id ${within}`, ...keys),
          // Fetched from all of them, and joined on one.
          rows(
            d1,
            `select count(*) from users a join posts b on b.n = a.n where a.id ${within} and b.user_id ${within}`,
            ...keys,
            ...keys,
          ),
        ]),
      );
      // Once landed, both shards have the rows, and nothing says yet which of them will count.
      for (const found of await whileStopped(mover, stop === 'land', Promise.all(reads))) {
        const sum = keys.reduce((total, id) => total + numberOf(id), 0);
        expect(found, stop).toEqual([keys.map((id) => [id, numberOf(id)]).sort(), [[4, sum]], [[8]]]);
      }
    });
  });

  it('a write to a list of keys hits each row once', async () => {
    const keys = [MOVING, STAYING, ON_S1, ON_S2];
    const warm = router();
    let moves = 0;
    await atEachStop(kind, async (mover, stop, to) => {
      moves++;
      const update = write(warm, 'update users set n = n + 100 where id in (?, ?, ?, ?)', ...keys);
      const isMoving = !['begin', 'thaw', 'close'].includes(stop);
      expect((await whileStopped(mover, isMoving, update)).meta.changes, stop).toBe(4);
      await mover.finish();
      const found = await Promise.all(keys.map(usersOnShards));
      const owners = [to, homeOf(STAYING), 's1', 's2'];
      expect(found.flat(), stop).toEqual(keys.map((id, i) => [owners[i], id, numberOf(id) + 100 * moves]));
    });
  });

  it('a batch of one key is applied once, as a whole', async () => {
    const d1 = router();
    let moves = 0;
    await atEachStop(kind, async (mover, stop, to) => {
      const n = N + 100 * ++moves;
      const batch = d1.batch([
        d1.prepare('update users set n = n + 100 where id = ?').bind(MOVING),
        d1.prepare('update posts set n = n + 100 where user_id = ?').bind(MOVING),
        d1.prepare('select n from users where id = ?').bind(MOVING),
      ]);
      const [, , read] = await whileStopped(mover, holdsWrites(stop), batch);
      expect(read?.results, stop).toEqual([{ n }]);
      await mover.finish();
      const posts = [`p${N}`, `q${N}`].map((id) => [to, id, n]);
      expect(await rowsOnShards('select id, n from posts where user_id = ?', MOVING), stop).toEqual(posts);
    });
  });

  it('a batch whose keys have separated is refused, and nothing of it is written', async () => {
    const [warm, stale] = [router(), router()];
    const add = (d1: D1Database) =>
      d1.batch([MOVING, STAYING].map((id) => d1.prepare('update users set n = n + 100 where id = ?').bind(id)));
    // Both are on s0.
    for (const d1 of [warm, stale]) await add(d1);
    const mover = await begin(SCOPES[kind], 's1');
    await mover.through('freeze');
    const refused = { code: 'CROSS_SHARD_BATCH' };
    expect(await whileStopped(mover, true, failureOf(add(warm)))).toMatchObject(refused);
    expect(await failureOf(add(stale))).toMatchObject(refused);
    expect(await usersOnShards(MOVING)).toEqual([['s1', MOVING, N + 200]]);
    expect(await usersOnShards(STAYING)).toEqual([['s0', STAYING, numberOf(STAYING) + 200]]);
  });

  it.each([
    [
      'a batch',
      (d1: D1Database) =>
        d1.batch([MOVING, STAYING].map((id) => d1.prepare('update users set n = 1 where id = ?').bind(id))),
    ],
    [
      'a write that reads another row',
      (d1: D1Database) =>
        write(d1, 'update users set n = (select n from users where id = ?) where id = ?', STAYING, MOVING),
    ],
  ])('%s whose keys have come together is run, also by a router that knows them apart', async (_name, run) => {
    await (await begin(SCOPES[kind], 's1')).finish();
    const d1 = router();
    await rows(d1, USER, MOVING);
    await (await begin(SCOPES[kind], 's0')).finish();
    await run(d1);
  });

  it.each([
    ['an update by key', ['update users set n = 0 where id = ?', MOVING]],
    ['a delete by key', ['delete from posts where user_id = ?', MOVING]],
    ['a list of keys', ['delete from users where id in (?, ?)', MOVING, ON_S1]],
    ['an update of all rows', ['update users set n = 0']],
    ['rows that are found first', ['delete from users where n < 100 order by n limit 30']],
    ['an insert', ["insert into posts (id, user_id, n) values ('x1', ?, 1), ('x2', ?, 2)", MOVING, ON_S1]],
    ['an insert of what all shards have', ["insert into posts (id, user_id, n) select 'x' || id, id, n from users"]],
  ] as const)(
    '%s fails that waits longer than moveTimeout, and has written nothing',
    async (_name, [sql, ...params]) => {
      const everything = 'select * from users union all select id, n from posts order by 1';
      const mover = await begin(SCOPES[kind], 's2');
      await mover.through('freeze');
      const before = await rowsOnShards(everything);
      const d1 = router({ moveTimeout: 30 });
      const [single, batch] = [write(d1, sql, ...params), d1.batch([d1.prepare(sql).bind(...params)])].map(failureOf);
      expect(await single).toBeInstanceOf(MoveInProgressError);
      expect(await single).toMatchObject({ code: 'MOVE_IN_PROGRESS' });
      await batch;
      expect(await rowsOnShards(everything)).toEqual(before);
      await mover.finish();
      await write(d1, sql, ...params);
    },
  );
});

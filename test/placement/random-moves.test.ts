import { env } from 'cloudflare:workers';
import { beforeEach, expect, it } from 'vitest';
import { SLOTS, slotOf } from '../../src/placement/slots';
import type { Mover } from '../support/mover';
import { begin, makeTables, NAMES, pause, router, rows, rowsOnShards, write } from './moving';

/** Fixed, so that continuous integration tries the same every time. To look for more: `VITE_MOVES_SEED=7 VITE_MOVES_OPS=2000 ...` */
const SEED = Number(import.meta.env.VITE_MOVES_SEED ?? 20261122);
const OPERATIONS = Number(import.meta.env.VITE_MOVES_OPS ?? 150);

/** https://github.com/bryc/code/blob/master/jshash/PRNGs.md#mulberry32 */
function randomBy(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** What has been acknowledged: the number of each user, and how many posts they have. */
type Model = Map<string, { n: number; posts: number }>;

class Run {
  readonly model: Model = new Map();
  readonly log: string[] = [];
  readonly movers = new Set<Mover>();
  readonly random: (below: number) => number;
  readonly routers: readonly D1Database[];
  #ids = 0;

  constructor(strategy: 'hash' | 'round-robin' | 'random', seed: number) {
    this.random = randomBy(seed);
    // The second one also looks into KV, and repeats what was lost.
    this.routers = [{}, { kv: env.KV, exactlyOnce: true }].map((more) => router({ strategy, ...more }));
  }

  pick = <T>(list: readonly T[]): T => list[this.random(list.length)] as T;
  router = (): D1Database => this.pick(this.routers);
  newId = (): string => {
    // An upsert may have got ahead.
    do this.#ids++;
    while (this.model.has(`u${this.#ids}`));
    return `u${this.#ids}`;
  };
  known = (): string[] => [...this.model.keys()];
  /** Also one that is gone, or was never there. */
  anyId = (): string => `u${this.random(this.#ids + 2)}`;
  anyIds = (): string[] => [...new Set(Array.from({ length: 2 + this.random(4) }, this.anyId))];

  add(id: string, n: number): void {
    const one = this.model.get(id);
    if (one) one.n += n;
  }

  /** Begins another move, if it is free to begin. */
  async move(): Promise<void> {
    const lo = this.random(SLOTS);
    const id = this.anyId();
    const around = [Math.max(0, slotOf(id) - 400), slotOf(id)] as const;
    const slots = this.pick([around, around, [lo, Math.min(SLOTS - 1, lo + this.random(2000))] as const]);
    const scope = this.pick([{ key: id }, { slots }]);
    const to = this.pick(NAMES);
    try {
      this.movers.add(await begin(scope, to));
      this.log.push(`begin ${JSON.stringify(scope)} to ${to}`);
    } catch (error) {
      if (!/locked|already/.test(String(error))) throw error;
    }
  }

  /** One step of one of the moves. */
  async step(): Promise<void> {
    const mover = this.pick([...this.movers]);
    if (!mover) return;
    const mayAbort = mover.last === undefined || mover.last === 'open' || mover.last === 'freeze';
    if (mayAbort && this.random(12) === 0) await mover.abort();
    else if (await this.#next(mover)) return;
    else if (this.random(2) === 0) await mover.tidy();
    this.log.push(`  end of ${mover.move.id}`);
    this.movers.delete(mover);
  }

  /** False when there is no next step. */
  async #next(mover: Mover): Promise<boolean> {
    try {
      const step = await mover.next();
      if (step) this.log.push(`  ${step} of ${mover.move.id}`);
      return step !== undefined;
    } catch (error) {
      // A key that did not exist was claimed for another shard since the move began.
      if (mover.last !== 'open' || !String(error).includes('SHARD_NOT_OWNER')) throw error;
      await mover.abort();
      return false;
    }
  }

  /** Runs an operation while moves go on; one that waits for them is not kept waiting. */
  async during<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    const settled = work.then(
      () => {
        isDone = true;
      },
      () => {
        isDone = true;
      },
    );
    if (this.random(2) === 0) await this.step();
    while (!isDone) {
      await Promise.race([settled, pause(this.random(12))]);
      if (!isDone) await this.step();
    }
    return work;
  }
}

type Operation = (run: Run, d1: D1Database) => Promise<void>;
const marks = (list: readonly unknown[]) => list.map(() => '?').join(', ');

/** Each does something through a router, checks what it gives, and does the same to the model. */
const OPERATIONS_BY_NAME: Record<string, Operation> = {
  insert: async (run, d1) => {
    const ids = Array.from({ length: 1 + run.random(3) }, run.newId);
    await run.during(write(d1, `insert into users (id, n) values ${ids.map(() => '(?, 7)').join(', ')}`, ...ids));
    for (const id of ids) run.model.set(id, { n: 7, posts: 0 });
  },
  upsert: async (run, d1) => {
    const id = run.anyId();
    const upsert = 'insert into users (id, n) values (?, 3) on conflict (id) do update set n = n + 5 returning n';
    const [row] = await run.during(rows(d1, upsert, id));
    const known = run.model.get(id);
    expect(row).toEqual([known ? known.n + 5 : 3]);
    run.model.set(id, { n: known ? known.n + 5 : 3, posts: known?.posts ?? 0 });
  },
  update: async (run, d1) => {
    const id = run.anyId();
    const { meta } = await run.during(write(d1, 'update users set n = n + 10 where id = ?', id));
    expect(meta.changes).toBe(run.model.has(id) ? 1 : 0);
    run.add(id, 10);
  },
  delete: async (run, d1) => {
    const id = run.anyId();
    const deletes = ['delete from posts where user_id = ?', 'delete from users where id = ?'];
    await run.during(d1.batch(deletes.map((sql) => d1.prepare(sql).bind(id))));
    run.model.delete(id);
  },
  read: async (run, d1) => {
    const id = run.anyId();
    const known = run.model.get(id);
    expect(await run.during(rows(d1, 'select n from users where id = ?', id))).toEqual(known ? [[known.n]] : []);
  },
  'read a list': async (run, d1) => {
    const ids = run.anyIds();
    const found = await run.during(rows(d1, `select id, n from users where id in (${marks(ids)}) order by id`, ...ids));
    expect(found).toEqual(ids.flatMap((id) => (run.model.has(id) ? [[id, run.model.get(id)?.n]] : [])).sort());
  },
  'update a list': async (run, d1) => {
    const ids = run.anyIds();
    const { meta } = await run.during(write(d1, `update users set n = n + 100 where id in (${marks(ids)})`, ...ids));
    expect(meta.changes).toBe(ids.filter((id) => run.model.has(id)).length);
    for (const id of ids) run.add(id, 100);
  },
  'read all': async (run, d1) => {
    const found = await run.during(rows(d1, 'select id, n from users order by id'));
    expect(found).toEqual(
      run
        .known()
        .sort()
        .map((id) => [id, run.model.get(id)?.n]),
    );
  },
  'count and join': async (run, d1) => {
    const users = rows(d1, 'select count(*), coalesce(sum(n), 0) from users');
    const posts = rows(d1, 'select count(*) from users u join posts p on p.n = u.n - u.n and p.user_id >= u.id');
    const [counted, joined] = await run.during(Promise.all([users, posts]));
    const all = [...run.model];
    expect(counted).toEqual([[all.length, all.reduce((sum, [, { n }]) => sum + n, 0)]]);
    const pairs = all.map(([id]) => all.reduce((sum, [other, { posts: k }]) => sum + (other >= id ? k : 0), 0));
    expect(joined).toEqual([[pairs.reduce((sum, k) => sum + k, 0)]]);
  },
  'update all': async (run, d1) => {
    const { meta } = await run.during(write(d1, 'update users set n = n + 1000'));
    expect(meta.changes).toBe(run.model.size);
    for (const id of run.known()) run.add(id, 1000);
  },
  'update what is found': async (run, d1) => {
    const found = await run.during(rows(d1, 'update users set n = n + 1 returning id order by id limit 3'));
    expect(found.flat().sort()).toEqual(run.known().sort().slice(0, 3));
    for (const [id] of found as [string][]) run.add(id, 1);
  },
  batch: async (run, d1) => {
    const id = run.pick(run.known()) ?? run.anyId();
    const batch = [
      d1.prepare('update users set n = n + 10000 where id = ?').bind(id),
      d1.prepare('insert into posts (id, user_id, n) values (?, ?, 0)').bind(`p${run.log.length}`, id),
      d1.prepare('select count(*) as posts from posts where user_id = ?').bind(id),
    ];
    if (!run.model.has(id)) return;
    const [, , read] = await run.during(d1.batch<{ posts: number }>(batch));
    run.add(id, 10000);
    const one = run.model.get(id) as { posts: number };
    expect(read?.results).toEqual([{ posts: ++one.posts }]);
  },
  'three at once': async (run, d1) => {
    const [a, b] = [run.anyId(), run.anyId()];
    const byKey = [a, b].map((id) => write(run.router(), 'update users set n = n + 10 where id = ?', id));
    await run.during(Promise.all([...byKey, write(d1, 'update users set n = n + 1000')]));
    for (const id of [a, b]) run.add(id, 10);
    for (const id of run.known()) run.add(id, 1000);
  },
};

/** Whatever has landed and was not released is on two shards, and the same on both. */
async function expectEverythingOnce(run: Run): Promise<void> {
  const found = new Set((await rowsOnShards('select id, n from users')).map(([, id, n]) => `${id} ${n}`));
  expect([...found].sort()).toEqual([...run.model].map(([id, { n }]) => `${id} ${n}`).sort());
}

beforeEach(makeTables);

it.each(['hash', 'round-robin', 'random'] as const)(
  `whatever is done while rows move, each is there once: %s, seed ${SEED}`,
  async (strategy) => {
    const run = new Run(strategy, SEED);
    try {
      await OPERATIONS_BY_NAME.insert?.(run, run.router());
      for (let i = 0; i < OPERATIONS; i++) {
        if (run.movers.size < 3 && run.random(3) === 0) await run.move();
        const [name, operation] = run.pick(Object.entries(OPERATIONS_BY_NAME));
        run.log.push(name);
        await operation(run, run.router());
        await expectEverythingOnce(run);
        for (let steps = run.random(4); steps > 0; steps--) await run.step();
      }
      while (run.movers.size > 0) await run.step();
      const users = await rowsOnShards('select id, n from users');
      expect(users.map(([, ...row]) => row).sort()).toEqual([...run.model].map(([id, { n }]) => [id, n]).sort());
      const posts = await rowsOnShards('select user_id from posts');
      expect(posts).toHaveLength([...run.model.values()].reduce((sum, one) => sum + one.posts, 0));
      for (const d1 of run.routers) {
        for (const [id, { n }] of run.model)
          expect(await rows(d1, 'select n from users where id = ?', id)).toEqual([[n]]);
      }
    } catch (error) {
      const last = run.log.slice(-60).join('\n');
      throw new Error(`With seed ${SEED}: ${error instanceof Error ? error.message : error}\n${last}`, {
        cause: error,
      });
    }
  },
  60_000,
);

import { interceptedKv, type Kv, type KvOperation } from './counting-kv';

export interface Chaos {
  /** The same seed makes the same choices, in the order in which operations are begun. */
  readonly seed: number;
  /** The longest that an operation takes longer, in milliseconds. Default 4. */
  readonly delayMs?: number;
  /** The share of operations that fail. Default 0.1. */
  readonly fails?: number;
  /** The share of writes that are lost although they seem to succeed. Default 0.2. */
  readonly loses?: number;
  /** The share of keys that are answered with what was there before. Default 0.5. */
  readonly stale?: number;
  /** How many writes back an old value may be: also the miss before the first one, as KV caches misses. Default 8. */
  readonly depth?: number;
}

/** What happened, so that a test can see that something did. */
export interface ChaoticKv extends Kv {
  readonly happened: { failed: number; lost: number; stale: number };
}

/**
 * A KV namespace at its worst, over a real one: slow, failing, losing writes, and answering with values of minutes ago.
 *
 * @example
 * const db = shardedDrizzle({ schema, shards: shards(3), kv: chaoticKv(env.KV, { seed: 1 }) });
 */
export function chaoticKv(
  kv: Kv,
  { seed, delayMs = 4, fails = 0.1, loses = 0.2, stale = 0.5, depth = 8 }: Chaos,
): ChaoticKv {
  const random = randomOf(seed);
  const happened = { failed: 0, lost: 0, stale: 0 };
  /** What each key held, oldest first. */
  const history = new Map<string, (string | null)[]>();
  const past = (key: string) => history.get(key) ?? [null];

  const intercept = async (operation: KvOperation, run: () => Promise<unknown>): Promise<unknown> => {
    // All choices first: they must not depend on how long others take.
    const wait = random() * delayMs;
    const isFailing = random() < fails;
    const isLost = operation.kind === 'write' && random() < loses;
    const picks = operation.kind === 'read' ? operation.keys.map(() => [random(), random()] as const) : [];
    await new Promise((resolve) => setTimeout(resolve, wait));
    if (isFailing) {
      happened.failed++;
      throw new Error(`KV ${operation.kind} failed: 500 Internal Server Error`);
    }
    if (operation.kind === 'write') {
      if (isLost) {
        happened.lost++;
        return undefined;
      }
      await run();
      history.set(operation.key, [...past(operation.key), operation.value]);
      return undefined;
    }
    const found = await run();
    const values = operation.keys.map((key, i): [string, unknown] => {
      const [isOld = 1, age = 0] = picks[i] ?? [];
      const now = operation.many ? (found as Map<string, unknown>).get(key) : found;
      const before = past(key).slice(-1 - depth, -1);
      if (isOld >= stale || before.length === 0) return [key, now];
      happened.stale++;
      const old = before[Math.floor(age * before.length)] ?? null;
      return [key, operation.json && old !== null ? JSON.parse(old) : old];
    });
    return operation.many ? new Map(values) : values[0]?.[1];
  };
  return Object.assign(interceptedKv(kv, intercept), { happened });
}

/** Numbers from 0 up to but not including 1: https://gist.github.com/tommyettinger/46a874533244883189143505d203312c (mulberry32). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

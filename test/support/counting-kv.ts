import type { ShardedConfig } from '../../src';

/** What the package asks of a KV namespace. */
export type Kv = NonNullable<ShardedConfig['kv']>;

/** One operation on a KV namespace. */
export type KvOperation =
  | { readonly kind: 'read'; readonly keys: readonly string[]; readonly many: boolean; readonly json: boolean }
  | { readonly kind: 'write'; readonly key: string; readonly value: string };

/**
 * A KV namespace with `intercept` around each operation: it calls `run` to reach the namespace, or answers itself with what
 * the namespace would give, or throws, or waits.
 */
export function interceptedKv(
  kv: Kv,
  intercept: (operation: KvOperation, run: () => Promise<unknown>) => Promise<unknown>,
): Kv {
  // `get` has many forms; the answer keeps the one that was asked for, because `run` passes everything on.
  const read = kv.get.bind(kv) as (key: string | string[], type: unknown) => Promise<unknown>;
  const intercepted = {
    get: (key: string | string[], type: unknown) =>
      intercept({ kind: 'read', keys: [key].flat(), many: Array.isArray(key), json: type === 'json' }, () =>
        read(key, type),
      ),
    put: (key: string, value: string, options?: KVNamespacePutOptions) =>
      intercept({ kind: 'write', key, value }, () => kv.put(key, value, options)),
  };
  return intercepted as unknown as Kv;
}

/** What went to a KV namespace. Share one instance to count over several. */
export class KvCounts {
  /** Operations, failed ones included; a read of many keys is one. */
  reads = 0;
  writes = 0;
  /** Every operation in the order it was begun. */
  readonly log: KvOperation[] = [];

  reset(): void {
    this.reads = this.writes = this.log.length = 0;
  }

  count(operation: KvOperation): void {
    if (operation.kind === 'read') this.reads++;
    else this.writes++;
    this.log.push(operation);
  }
}

/**
 * Counts the operations that reach `kv`.
 *
 * @example
 * const kv = countingKv(env.KV);
 * await kv.get('a');
 * kv.counts.reads; // 1
 */
export function countingKv(kv: Kv, counts = new KvCounts()): Kv & { readonly counts: KvCounts } {
  const counting = interceptedKv(kv, (operation, run) => {
    counts.count(operation);
    return run();
  });
  return Object.assign(counting, { counts });
}

import { type Chain, chainOf, type KeyEntry, POSTING, type Span } from './history-chain';

/**
 * What clients did and were answered, and whether one copy of each row, where things happen one at a time, could have given
 * those answers (linearizability by key).
 *
 * The value of a row is the list of the tokens that were written to it: a token of its own by the insert, one more by each
 * append. So each answer tells which state it has seen, and all states of a key stand in one line:
 *
 *     (none) -- insert i1 --> i1 -- append a2 --> i1,a2 -- delete --> (none) -- insert i5 --> i5 ...
 *
 * Everything that was done to a key has its place in that line. The history is right when nothing stands before what had
 * ended before it began: then no acknowledged write is lost, and reads never go back.
 */

export type Entry = Span &
  (
    | KeyEntry
    /** Rows of all keys as one statement has found them. */
    | { readonly kind: 'read all'; readonly rows: readonly (readonly [key: string, value: string])[] }
    /** The number of posts of each key that has some. */
    | { readonly kind: 'posts of all'; readonly counts: readonly (readonly [key: string, count: number])[] }
    | { readonly kind: 'count'; readonly of: 'rows' | 'posts'; readonly found: number }
    /** A token for all rows; `changes` is how many it is said to have reached. */
    | { readonly kind: 'append to all'; readonly token: string; readonly changes: number }
  );

/** Collects what clients tell of themselves. */
export class History {
  readonly entries: Entry[] = [];
  #ticks = 0;
  #tokens = 0;

  tick(): number {
    return ++this.#ticks;
  }

  /** One that was never used; `kind` is its first letter. */
  token(kind: 'i' | 'a' | 's' | typeof POSTING): string {
    return `${kind}${(++this.#tokens).toString(36)}`;
  }
}

/** What is wrong with a history, in words; nothing when it is right. */
export function checkHistory(entries: readonly Entry[]): string[] {
  const violations: string[] = [];
  const byKey = splitByKey(entries, violations);
  const chains = [...byKey].map(([key, own]) => {
    const chain = chainOf(key, own);
    violations.push(...chain.violations, ...checkOrder(chain));
    return chain;
  });
  for (const entry of entries) {
    if (entry.kind === 'append to all') violations.push(...checkReach(entry, chains));
    if (entry.kind === 'count') violations.push(...checkCount(entry, chains, entries));
  }
  return violations;
}

/** What was done to all keys was done to each. */
function splitByKey(entries: readonly Entry[], violations: string[]): Map<string, (Span & KeyEntry)[]> {
  const byKey = new Map<string, (Span & KeyEntry)[]>();
  for (const entry of entries) {
    if (!('key' in entry)) continue;
    const own = byKey.get(entry.key);
    if (own) own.push(entry);
    else byKey.set(entry.key, [entry]);
  }
  const found = <T>(what: string, { begin, end }: Span, list: readonly (readonly [string, T])[]): Map<string, T> => {
    const map = new Map(list);
    if (map.size !== list.length) {
      const twice = list.map(([key]) => key).filter((key, i, keys) => keys.indexOf(key) !== i);
      violations.push(`${what} (${begin} to ${end}) found ${twice} more than once`);
    }
    for (const key of map.keys()) {
      if (!byKey.has(key)) violations.push(`${what} (${begin} to ${end}) found ${key}, which nobody wrote`);
    }
    return map;
  };
  for (const entry of entries) {
    const { begin, end } = entry;
    if (entry.kind === 'read all') {
      const rows = found('a read of all', entry, entry.rows);
      for (const [key, own] of byKey) own.push({ kind: 'read', key, begin, end, value: rows.get(key) ?? null });
    } else if (entry.kind === 'posts of all') {
      const counts = found('a count of posts by key', entry, entry.counts);
      for (const [key, own] of byKey) own.push({ kind: 'posts', key, begin, end, count: counts.get(key) ?? 0 });
    } else if (entry.kind === 'append to all') {
      for (const [key, own] of byKey) own.push({ kind: 'append', key, begin, end, token: entry.token });
    }
  }
  return byKey;
}

/** Gives each entry the first place that it can have after all that had ended before it began. */
function checkOrder({ key, placed }: Chain): string[] {
  const violations: string[] = [];
  let reached = 0;
  let by = 'the beginning';
  const moments = placed.flatMap((one) => [
    { at: one.begin, run: () => enter(one) },
    ...(Number.isFinite(one.end) ? [{ at: one.end, run: () => leave(one) }] : []),
  ]);
  const given = new Map<(typeof placed)[number], number>();
  const enter = (one: (typeof placed)[number]) => {
    const first = reached + (one.isWrite ? 1 : 0);
    const place = one.places.find((candidate) => candidate >= first);
    if (place === undefined) {
      const is = one.places.length === 0 ? 'was never its state' : `comes after ${by}, and does not know of it`;
      violations.push(`key ${key}: ${one.what} ${is}`);
    }
    given.set(one, place ?? 0);
  };
  const leave = (one: (typeof placed)[number]) => {
    const place = given.get(one) ?? 0;
    if (place <= reached) return;
    reached = place;
    by = one.what;
  };
  for (const { run } of moments.sort((a, b) => a.at - b.at)) run();
  return violations;
}

function checkReach(entry: Span & { token: string; changes: number }, chains: readonly Chain[]): string[] {
  if (entry.end === Number.POSITIVE_INFINITY) return [];
  const reached = chains.filter((chain) => chain.tokens.has(entry.token)).length;
  if (reached === entry.changes) return [];
  return [`the write of ${entry.token} to all rows said that it changed ${entry.changes}, and ${reached} have it`];
}

/** At least what was there all the time, at most what may have been there at some time. */
function checkCount(
  { begin, end, of, found }: Span & { of: 'rows' | 'posts'; found: number },
  chains: readonly Chain[],
  entries: readonly Entry[],
): string[] {
  let least = 0;
  let most = 0;
  if (of === 'rows') {
    for (const { lives } of chains) {
      if (lives.some((life) => life.inserted.end < begin && life.deleted.begin > end)) least++;
      if (lives.some((life) => life.inserted.begin < end && life.deleted.end > begin)) most++;
    }
  } else {
    for (const entry of entries) {
      if (entry.kind !== 'append' || !entry.token.startsWith(POSTING)) continue;
      if (entry.end < begin) least++;
      if (entry.begin < end) most++;
    }
  }
  if (least <= found && found <= most) return [];
  const right = least === most ? `${least}` : `${least} to ${most}`;
  return [`a count of all ${of} (${begin} to ${end}) found ${found} instead of ${right}`];
}

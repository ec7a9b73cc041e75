/** When something began and ended, by the ticks of one clock. An end that never came, or came with an error: Infinity. */
export interface Span {
  readonly begin: number;
  readonly end: number;
}

/** Tokens of appends that also added a post begin with it. */
export const POSTING = 'p';

/** Something that was done to one key. Inserts and deletes of a key take turns, one at a time; all else may be at once. */
export type KeyEntry = { readonly key: string } & (
  | { readonly kind: 'insert'; readonly token: string }
  /** `changes` is how many rows it said that it changed; left out where it did not say. */
  | { readonly kind: 'append'; readonly token: string; readonly changes?: number }
  /** `value` is the row that was deleted. */
  | { readonly kind: 'delete'; readonly value: string | null }
  /** `posts` are the bodies of its posts, read in the same batch: tokens. */
  | { readonly kind: 'read'; readonly value: string | null; readonly posts?: readonly string[] }
  /** One statement gave several rows for it. */
  | { readonly kind: 'read twice'; readonly values: readonly string[] }
  | { readonly kind: 'posts'; readonly count: number }
);

/** A row from its insert to its delete. */
interface Life {
  readonly inserted: Span;
  readonly deleted: Span;
}

/** An entry with the places that it can have in the line of states. */
export interface Placed extends Span {
  readonly what: string;
  /** It leads to its place from the one before; a read stands there. */
  readonly isWrite: boolean;
  /** In order. */
  readonly places: readonly number[];
}

/** All states of a key in one line, as far as anybody has seen them. */
export interface Chain {
  readonly key: string;
  readonly lives: readonly Life[];
  readonly tokens: ReadonlySet<string>;
  readonly placed: readonly Placed[];
  readonly violations: readonly string[];
}

/** One state: the row's value and its number of posts. */
interface State {
  readonly value: string | null;
  readonly posts: number;
}

type Of<K extends KeyEntry['kind']> = Span & Extract<KeyEntry, { kind: K }>;
const NEVER: Span = { begin: Number.POSITIVE_INFINITY, end: Number.POSITIVE_INFINITY };

export function chainOf(key: string, entries: readonly (Span & KeyEntry)[]): Chain {
  const violations: string[] = [];
  const wrong = (text: string) => violations.push(`key ${key}: ${text}`);
  const of = <K extends KeyEntry['kind']>(kind: K) =>
    entries.filter((entry): entry is Of<K> => entry.kind === kind).sort((a, b) => a.begin - b.begin);
  const inserts = of('insert');
  const deletes = of('delete');
  const longest = longestValues(entries, wrong);

  const written = new Set([...inserts, ...of('append')].map(({ token }) => token));
  const places = new Map<string, number>();
  const states: State[] = [{ value: null, posts: 0 }];
  const ends: number[] = [];
  for (const [i, { token: first }] of inserts.entries()) {
    let state: State = { value: null, posts: 0 };
    for (const token of (longest.get(first) ?? first).split(',')) {
      if (!written.has(token)) wrong(`${token} is in its row, and nobody wrote that`);
      if (places.has(token)) wrong(`${token} is in its row twice`);
      const posts = state.posts + (token.startsWith(POSTING) ? 1 : 0);
      state = { value: state.value === null ? token : `${state.value},${token}`, posts };
      places.set(token, states.push(state) - 1);
    }
    if (!deletes[i]) break;
    ends.push(states.push({ value: null, posts: 0 }) - 1);
  }
  for (const first of longest.keys()) {
    if (!inserts.some(({ token }) => token === first))
      wrong(`a row was read that begins with ${first}: nobody inserted it`);
  }

  const statesWhere = (fits: (state: State) => boolean) =>
    states.flatMap((state, place) => (fits(state) ? [place] : []));
  const absent = statesWhere(({ value }) => value === null);
  const byValue = new Map(states.map(({ value }, place) => [value, [place]]));
  const placesOf = (value: string | null) => (value === null ? absent : (byValue.get(value) ?? []));

  const placed: Placed[] = [];
  const place = (entry: Span, what: string, isWrite: boolean, at: readonly number[]) =>
    placed.push({ ...entry, what: `${what} (${entry.begin} to ${entry.end})`, isWrite, places: at });
  for (const [i, entry] of deletes.entries()) {
    const at = ends[i];
    if (at === undefined) wrong('was deleted before it was inserted');
    else place(entry, `the delete of ${brief(entry.value)}`, true, [at]);
    if (at === undefined || entry.end === Number.POSITIVE_INFINITY) continue;
    const last = states[at - 1]?.value ?? null;
    if (entry.value !== last) wrong(`${brief(entry.value)} was deleted, and ${brief(last)} was read`);
  }
  for (const entry of entries) {
    if (entry.kind === 'insert' || entry.kind === 'append') {
      const at = places.get(entry.token);
      const isAcknowledged = entry.end !== Number.POSITIVE_INFINITY;
      const what = `the ${entry.kind} of ${entry.token}`;
      if (at !== undefined) {
        place(entry, what, true, [at]);
        if (entry.kind === 'append' && entry.changes === 0 && isAcknowledged)
          wrong(`${what} said that it changed nothing, and did`);
      } else if (isAcknowledged) {
        if (entry.kind === 'insert' || (entry.changes ?? 0) > 0)
          wrong(`${what} (${entry.begin} to ${entry.end}) was acknowledged and is lost`);
        else place(entry, `${what}, which found no row,`, false, absent);
      }
    } else if (entry.kind === 'read') {
      place(entry, `a read of ${brief(entry.value)}`, false, placesOf(entry.value));
      if (entry.posts) checkPosts(entry.value, entry.posts, wrong);
    } else if (entry.kind === 'read twice') {
      wrong(`a read (${entry.begin} to ${entry.end}) found it twice: ${entry.values.map(brief).join(' and ')}`);
    } else if (entry.kind === 'posts') {
      place(
        entry,
        `a count of ${entry.count} posts`,
        false,
        statesWhere(({ posts }) => posts === entry.count),
      );
    }
  }
  const lives = inserts.map((inserted, i): Life => ({ inserted, deleted: deletes[i] ?? NEVER }));
  return { key, lives, tokens: new Set(places.keys()), placed, violations };
}

/** By first token. All that was seen of one row must be beginnings of the same. */
function longestValues(entries: readonly (Span & KeyEntry)[], wrong: (text: string) => void): Map<string, string> {
  const longest = new Map<string, string>();
  const values = new Set<string>();
  for (const entry of entries) {
    if ((entry.kind === 'read' || entry.kind === 'delete') && entry.value !== null) values.add(entry.value);
  }
  for (const value of [...values].sort((a, b) => a.length - b.length)) {
    const first = value.split(',', 1)[0] as string;
    const before = longest.get(first);
    if (before !== undefined && !`${value},`.startsWith(`${before},`)) {
      wrong(`was read as ${brief(before)} and as ${brief(value)}: neither came from the other`);
    }
    longest.set(first, value);
  }
  return longest;
}

function checkPosts(value: string | null, posts: readonly string[], wrong: (text: string) => void): void {
  const expected = value?.split(',').filter((token) => token.startsWith(POSTING)) ?? [];
  if (expected.join() === [...posts].sort((a, b) => expected.indexOf(a) - expected.indexOf(b)).join()) return;
  wrong(`the row ${brief(value)} was read together with the posts ${posts}`);
}

/** The ends of a value: it may have hundreds of tokens. */
function brief(value: string | null): string {
  if (value === null) return 'no row';
  const tokens = value.split(',');
  return tokens.length <= 8 ? value : `${tokens.slice(0, 2)},..${tokens.length - 7} more..,${tokens.slice(-5)}`;
}

import fc from 'fast-check';
import { type Cell, LINES, ORDER_IDS, postId, SETTING_NAMES, SLOTS, TAG_IDS, tableSpec, USER_IDS } from './catalog';
import type { TableName } from './schema';

/** A row as Drizzle's `values()` takes it. */
export type Row = Readonly<Record<string, Cell>>;
export type Dataset = Readonly<Record<TableName, readonly Row[]>>;

/** Which rows there are; the rest of each row is drawn from the table's cells. */
interface Keys {
  readonly users: readonly string[];
  readonly slots: readonly number[];
  readonly orders: readonly number[];
  readonly tags: readonly string[];
  readonly settings: readonly string[];
}

export type Size = 'full' | 'sparse';

/** The rows of all tables, the same for the same seed. `sparse`: most tables have no row or a few. */
export function sampleDataset(seed: number, size: Size): Dataset {
  const [dataset] = fc.sample(datasetArbitrary(size), { seed, numRuns: 1 });
  if (!dataset) throw new Error('fast-check gave no sample.');
  return dataset;
}

function datasetArbitrary(size: Size): fc.Arbitrary<Dataset> {
  const some = <T>(from: readonly T[]) => {
    const least = size === 'full' ? Math.ceil(from.length * 0.7) : 0;
    const most = size === 'full' ? from.length : Math.ceil(from.length / 5);
    return fc.shuffledSubarray([...from], { minLength: least, maxLength: most });
  };
  const keys: fc.Arbitrary<Keys> = fc.record({
    users: some(USER_IDS),
    slots: some(SLOTS),
    orders: some(ORDER_IDS),
    tags: some(TAG_IDS),
    settings: some(SETTING_NAMES),
  });
  return keys.chain(rowsFor);
}

function rowsFor(keys: Keys): fc.Arbitrary<Dataset> {
  const { users, slots, orders, tags, settings } = keys;
  const posts = users.flatMap((userId) => slots.map((slot) => ({ id: postId(userId, slot), userId, slot })));
  const items = orders.flatMap((orderId) => LINES.map((line) => ({ orderId, line })));
  // Half of them are another user's posts, so that to be of one post is not to be on one shard.
  const tagger = (userId: string, i: number) => (i % 2 === 0 ? userId : (users[(i * 7) % users.length] ?? userId));
  const postTags = posts.flatMap(({ userId, id }, i) =>
    tags.map((tagId, j) => ({ userId: tagger(userId, i + j), postId: id, tagId })),
  );
  return fc.record({
    users: fill(
      'users',
      users.map((id) => ({ id })),
    ),
    posts: thin(posts, 0.6).chain((rows) => fill('posts', rows)),
    orders: fill(
      'orders',
      orders.map((id) => ({ id })),
    ),
    items: thin(items, 0.6).chain((rows) => fill('items', rows)),
    tags: fill(
      'tags',
      tags.map((id) => ({ id })),
    ),
    postTags: thin(postTags, 0.15).chain((rows) => fill('postTags', rows)),
    settings: fill(
      'settings',
      settings.map((name) => ({ name })),
    ),
  });
}

/** About a part of the rows, in any order. */
const thin = (rows: readonly Row[], part: number): fc.Arbitrary<readonly Row[]> => {
  const count = Math.round(rows.length * part);
  return fc.shuffledSubarray([...rows], { minLength: count, maxLength: count });
};

function fill(table: TableName, keys: readonly Row[]): fc.Arbitrary<readonly Row[]> {
  return fc.tuple(...keys.map((key) => rowArbitrary(table, key)));
}

/** A row with the given cells; the others are drawn. */
export function rowArbitrary(table: TableName, fixed: Row): fc.Arbitrary<Row> {
  const drawn: Record<string, fc.Arbitrary<Cell>> = {};
  for (const [name, { cells, kind, domain }] of Object.entries(tableSpec(table).columns)) {
    if (name in fixed) continue;
    const usual = fc.constantFrom(...cells);
    const free = kind === 'text' && !domain && cells.length > 10;
    drawn[name] = free
      ? fc.oneof({ weight: 5, arbitrary: usual }, fc.string({ unit: 'grapheme', maxLength: 5 }))
      : usual;
  }
  return fc.record(drawn).map((row) => ({ ...fixed, ...row }));
}

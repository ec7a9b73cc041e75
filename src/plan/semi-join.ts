import { sameName } from '../layout/table';
import { readLeaf } from '../sql/conditions';
import type { Token } from '../sql/tokens';
import type { Link, Lookup, Mention } from './mentions';
import { reachOf } from './reach';

/** A mention whose rows are fetched, after those that it is linked to. */
export interface Fetch {
  readonly mention: Mention;
  readonly links: readonly LinkFrom[];
  /** What the shards themselves look up; instead of links, as it takes no fetch before. */
  readonly lookups: readonly Lookup[];
  /** All rows of the table: one fetch serves all of its mentions. */
  readonly whole: boolean;
}

type LinkFrom = Link & { readonly from: Fetch };

/**
 * Decides what is fetched first: the mention that is confined the most, then those that are linked to it, and so on. What
 * nothing confines, directly or by links, is fetched whole, and then once for all mentions of the table.
 */
export function arrange(mentions: readonly Mention[], tokens: readonly Token[]): Fetch[] {
  const byScore = mentions
    .map((mention) => ({ mention, score: scoreOf(mention, tokens) }))
    .sort((a, b) => b.score - a.score);
  const whole = new Set<string>();
  for (;;) {
    const fetches = inOrder(byScore, whole);
    const more = fetches.filter((fetch) => fetch.whole && !whole.has(fetch.mention.table.name));
    for (const { mention } of more) whole.add(mention.table.name);
    if (more.length === 0) return fetches;
  }
}

function inOrder(byScore: readonly { mention: Mention; score: number }[], whole: ReadonlySet<string>): Fetch[] {
  const placed: Fetch[] = [];
  const left = byScore.filter(({ mention }) => !whole.has(mention.table.name));
  const confined = new Map<unknown, Fetch>();
  while (left.length > 0) {
    const linked = left.findIndex(({ mention }) => mention.links.some(({ other }) => confined.has(other)));
    const [{ mention, score }] = left.splice(Math.max(linked, 0), 1) as [{ mention: Mention; score: number }];
    const links = mention.links.flatMap((link) => {
      const from = confined.get(link.other);
      return from && !isImplied(mention, link) ? [{ ...link, from }] : [];
    });
    const local = links.filter((link) => isLocal(mention, link)).map(lookupOf);
    const fetch = {
      mention,
      links: local.length > 0 ? [] : links,
      lookups: [...mention.lookups, ...local],
      whole: links.length === 0 && isWhole(mention),
    };
    placed.push(fetch);
    if (score > 0 || links.length > 0) for (const ref of mention.refs) confined.set(ref, fetch);
  }
  const all = byScore.flatMap(({ mention }) =>
    whole.has(mention.table.name) ? [{ mention, links: [], lookups: [], whole: true }] : [],
  );
  return [...placed, ...all];
}

export const reachesKeys = ({ refs }: Mention): boolean =>
  refs.every((ref) => {
    const reach = reachOf(ref);
    return reach?.kind === 'keys' && reach.keys.kind !== 'all';
  });

/** Equal shard keys, and they are known already. */
const isImplied = (mention: Mention, { column }: Link): boolean => {
  const { placement } = mention.table;
  return placement.kind === 'sharded' && sameName(placement.key.name, column.name) && reachesKeys(mention);
};

/** Both are shard keys: the rows that are named are where the row is that names them, and conditions say which those are. */
function isLocal({ table }: Mention, { column, otherColumn, from }: LinkFrom): boolean {
  const [own, other] = [table.placement, from.mention.table.placement];
  if (own.kind !== 'sharded' || other.kind !== 'sharded' || own.keyspace !== other.keyspace) return false;
  const areKeys = own.key === column && other.key === otherColumn && column.collation === 'BINARY';
  const isPlain = from.links.length === 0 && !from.mention.top;
  return areKeys && isPlain && from.mention.filters.length + from.lookups.length > 0;
}

const lookupOf = ({ from, ...link }: LinkFrom): Lookup => ({
  ...link,
  filters: from.mention.filters,
  lookups: from.lookups,
});

/** How much is known of its rows by itself. */
function scoreOf(mention: Mention, tokens: readonly Token[]): number {
  if (reachesKeys(mention)) return 3;
  const isEqual = mention.filters.some((range) => ['equal', 'in'].includes(readLeaf(tokens, range)?.kind ?? ''));
  if (mention.top || isEqual) return 2;
  return mention.filters.length + mention.lookups.length > 0 ? 1 : 0;
}

const isWhole = (mention: Mention): boolean =>
  mention.filters.length + mention.lookups.length === 0 && !mention.top && !reachesKeys(mention);

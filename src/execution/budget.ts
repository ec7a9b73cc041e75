import { QueryLimitError } from '../errors';
import type { GatherRoute, Route } from './route';
import { isWeighed } from './weigh';

/**
 * How many queries D1 is asked at most to run a statement, if nothing has to be asked again. Each statement of a batch counts,
 * also our own: Cloudflare limits the queries of an invocation, and does not say that a batch is one of them
 * (https://developers.cloudflare.com/d1/platform/limits/).
 *
 * @param rehearses Writes to several shards are tried first.
 */
export function queriesOf(route: Route, rehearses: boolean): number {
  const tries = rehearses && route.shards.length > 1 ? 2 : 1;
  switch (route.kind) {
    case 'single':
      return 2;
    case 'scatter':
      return 2 * route.shards.length;
    case 'gather':
      return fetchesOf(route) + 2;
    case 'insert':
      return tries * sum(route.parts.map(({ statements }) => 1 + statements.length));
    case 'broadcast':
      return tries * route.shards.length * (1 + route.statements.length);
    case 'two-phase':
      return (1 + tries) * 2 * route.shards.length;
  }
}

/** A fetch by values that are not known yet may go to every shard. */
function fetchesOf({ levels, fetches, shards }: GatherRoute): number {
  return sum(
    levels.map((level) => {
      const own = level.flatMap((i) => fetches[i] ?? []);
      const asked = own.some(({ all }) => all) ? shards : [...new Set(own.flatMap((fetch) => fetch.shards))];
      return asked.length + sum(own.map((fetch) => (isWeighed(fetch) ? 2 : 1) * fetch.shards.length));
    }),
  );
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);

/** What needs more queries than allowed is refused before anything is run. */
export function tooManyQueries(
  queries: number,
  limit: number,
  routes: readonly Route[],
  tables: readonly string[],
): QueryLimitError {
  const shards = new Set(routes.flatMap((route) => route.shards)).size;
  return new QueryLimitError(
    `This takes up to ${queries} queries on ${shards} shards, more than limits.queries (${limit}).`,
    {
      tables,
      remedy:
        'Add a condition on the shard key, so that fewer shards are asked; write fewer rows at a time; or raise limits.queries where D1 allows more.',
    },
  );
}

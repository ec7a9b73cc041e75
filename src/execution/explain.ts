import type { OrderKey } from '../plan/plan';
import type { BoundStatement } from '../sql/bound';
import { finishingStatement } from './finish';
import type { Route } from './route';
import { inLists } from './route-read';

/** One statement on one or several shards. */
export interface ExplainedStep {
  /** What the step is for: `run`, `fetch visits`, `finish`, `find`, ... */
  readonly what: string;
  /** None for what is a statement of its own. */
  readonly shards: readonly string[];
  readonly sql: string;
  readonly params: readonly unknown[];
}

/** How a statement would be run, as data and as text. */
export interface Explanation {
  /**
   * - `single`: one shard, untouched
   * - `scatter`: the same on several shards, rows merged
   * - `gather`: rows fetched from several shards, finished by one
   * - `insert`: rows of one INSERT split by owner; they may have been read first
   * - `broadcast`: the same write on several shards
   * - `two-phase`: find the rows, then write them by primary key
   */
  readonly kind: Route['kind'];
  /** Every shard that is asked; of a `gather`, every one that may be. */
  readonly shards: readonly string[];
  readonly tables: readonly string[];
  readonly steps: readonly ExplainedStep[];
  /** How the answers become one. */
  readonly merge: string;
  /** How many D1 queries it takes at most: what `limits.queries` is compared with. */
  readonly queries: number;
  readonly text: string;
}

/** Describes a route. Pure. */
export function explainRoute(route: Route, tables: readonly string[], queries: number): Explanation {
  const { shards } = route;
  const steps = stepsOf(route);
  const merge = mergeOf(route);
  const lines = [`${route.kind} on ${shards.join(', ')}`];
  for (const step of steps) {
    const on = step.shards.length > 0 ? ` on ${step.shards.join(', ')}` : '';
    lines.push(`  ${step.what}${on}`, `    ${step.sql.trim()}`);
    if (step.params.length > 0) lines.push(`    params: ${JSON.stringify(step.params)}`);
  }
  lines.push(`  result: ${merge}`);
  return { kind: route.kind, shards, tables, steps, merge, queries, text: lines.join('\n') };
}

const step = (what: string, shards: readonly string[], { sql, params }: BoundStatement): ExplainedStep => ({
  what,
  shards,
  sql,
  params,
});

function stepsOf(route: Route): ExplainedStep[] {
  const { found } = route;
  // It runs as a statement of its own, on whatever shards it has to.
  return found ? [step('find', [], found), ...runSteps(route)] : runSteps(route);
}

function runSteps(route: Route): ExplainedStep[] {
  switch (route.kind) {
    case 'single':
      return [step('run', [route.shard], route.statement)];
    case 'scatter':
      return [step('run', route.shards, route.statement)];
    case 'broadcast':
      return route.statements.map((one) => step('run', route.shards, one));
    case 'insert':
      return route.parts.flatMap(({ shard, statements }) => statements.map((one) => step('insert', [shard], one)));
    case 'two-phase':
      return [
        step('find', route.shards, route.find),
        step('write by primary key', route.shards, {
          sql: `${route.step.head.sql}where <primary key found>${route.step.tail.sql}`,
          params: [],
        }),
      ];
    case 'gather': {
      const finish = finishingStatement(
        route,
        route.fetches.map(() => ({ chunks: ['<rows>'], exact: false })),
      );
      const fetches = route.fetches.map(({ table, shards, filtered, statement: { sql, params } }) => {
        const [link] = table.links;
        const by = table.links.map(({ text }) => text).join(' or ');
        const name = `fetch ${table.table.name}${link ? ` by ${by}` : ''}`;
        const linked = link && { sql: sql + inLists(filtered, link.column, 1), params: [...params, '<values>'] };
        return step(name, shards, linked ?? { sql, params });
      });
      return [...fetches, step('finish', [route.finishOn], finish)];
    }
  }
}

function mergeOf(route: Route): string {
  switch (route.kind) {
    case 'single':
      return 'as it comes';
    case 'scatter': {
      if (route.merge === 'sum') return 'counts added up';
      const order = route.order.length > 0 ? `merge by ${route.order.map(orderText).join(', ')}` : 'concatenate';
      const limit = route.limit === undefined ? '' : `, limit ${route.limit}`;
      return `${order}${limit}${route.offset > 0 ? `, offset ${route.offset}` : ''}`;
    }
    case 'gather':
      return 'as the last step gives it';
    case 'insert':
      return route.returning ? 'returned rows in the order of the values' : 'changes summed';
    case 'broadcast':
      return route.same ? 'the first shard answers for all' : 'rows concatenated, changes summed';
    case 'two-phase':
      return 'rows concatenated, changes summed';
  }
}

const orderText = ({ text, descending, nulls, collation }: OrderKey): string =>
  `${text}${collation === 'BINARY' ? '' : ` collate ${collation}`}${descending ? ' desc' : ''}${nulls === (descending ? 'last' : 'first') ? '' : ` nulls ${nulls}`}`;

import type { QueryEvent } from '../config';
import type { Route } from './route';
import type { BoundStatement } from './shard-set';

export type QueryListener = ((event: QueryEvent) => void) | undefined;

/** Runs statements, then tells the listener of each: how it was run, where, and how long all of them took. */
export async function observe<R>(
  listener: QueryListener,
  statements: readonly BoundStatement[],
  run: (routed: (statement: BoundStatement, route: Route) => void) => Promise<R>,
): Promise<R> {
  if (!listener) return run(() => {});
  const started = performance.now();
  const routes = new Map<BoundStatement, Route>();
  let failure: { error?: unknown } = {};
  try {
    return await run((statement, route) => routes.set(statement, route));
  } catch (error) {
    failure = { error };
    throw error;
  } finally {
    const durationMs = performance.now() - started;
    for (const statement of statements) {
      const route = routes.get(statement);
      const shards = route === undefined ? [] : route.kind === 'single' ? [route.shard] : route.shards;
      const { sql, params } = statement;
      try {
        listener({ sql, params, kind: route?.kind ?? 'refused', shards, durationMs, ...failure });
      } catch (error) {
        // The statement has run; what a listener does wrong must not look like its failure.
        console.error('onQuery threw', error);
      }
    }
  }
}

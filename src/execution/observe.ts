import type { QueryEvent } from '../config';
import type { BoundStatement } from '../sql/bound';
import { hasListeners, publish, type RetryEvent } from '../telemetry/channels';
import type { Telemetry } from '../telemetry/counters';
import type { Route } from './route';

/** Counts a repetition, and tells who listens. */
export function noteRetry(telemetry: Telemetry, event: RetryEvent): void {
  telemetry.retry(event.shard, event.reason);
  publish('retry', () => event);
}

export type QueryListener = ((event: QueryEvent) => void) | undefined;

/** Runs statements, then tells the listener of each: how it was run, where, and how long all of them took. */
export async function observe<R>(
  listener: QueryListener,
  statements: readonly BoundStatement[],
  run: (routed: (statement: BoundStatement, route: Route) => void) => Promise<R>,
): Promise<R> {
  if (!listener && !isObserved()) return run(() => {});
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
      const shards = route?.shards ?? [];
      const { sql, params } = statement;
      const event: QueryEvent = { sql, params, kind: route?.kind ?? 'refused', shards, durationMs, ...failure };
      publish('query', () => event);
      try {
        listener?.(event);
      } catch (error) {
        // The statement has run; what a listener does wrong must not look like its failure.
        console.error('onQuery threw', error);
      }
    }
  }
}

/** Does anybody listen on a channel? */
export const isObserved = (): boolean => hasListeners('query');

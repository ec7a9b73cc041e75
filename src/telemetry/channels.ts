import type { QueryEvent } from '../config';

export type { QueryEvent };

/**
 * The diagnostics channels of this package, by the short names that its own code uses.
 *
 * Their listeners see the values of statements and the keys of rows. A Tail Worker gets every message as well, but only
 * of channels that something in the Worker itself listens to: messages are not even made for others.
 *
 * @example
 * import { subscribe } from 'node:diagnostics_channel';
 * subscribe(CHANNELS.query, (event) => console.log((event as QueryEvent).durationMs));
 */
export const CHANNELS = {
  query: 'sharded-drizzle:query',
  route: 'sharded-drizzle:route',
  retry: 'sharded-drizzle:retry',
  move: 'sharded-drizzle:move',
} as const;

export type ChannelName = keyof typeof CHANNELS;

/** The shard of one key was found. */
export interface RouteEvent {
  keyspace: string;
  /** The key as text; left out where it is not one key that was looked for. It may be personal data. */
  key?: string;
  shard: string;
  /**
   * Who knew it:
   * - `map`: the map of slots, in memory
   * - `cache`: this isolate, which had found it before
   * - `kv`: Workers KV
   * - `home`: the shard that the key's hash names, which keeps the keys that live elsewhere
   * - `claim`: nobody; the key is new and was given this shard
   */
  source: 'map' | 'cache' | 'kv' | 'home' | 'claim';
}

/** Something is about to be asked once more of a shard, or of the shard that has the rows now. */
export interface RetryEvent {
  /** The shard that gave the reason. */
  shard: string;
  /**
   * - `moved`: the rows are on another shard now
   * - `not-owner`: the shard does not own them, by a map newer than the caller's
   * - `busy`: they are being moved at this moment
   * - `transient`: an error of D1 that passes by itself
   * - `unbalanced`: the shards answered from different states of a move
   */
  reason: 'moved' | 'not-owner' | 'busy' | 'transient' | 'unbalanced';
  /** How many times it has failed so far: 1 before the first repetition. */
  attempt: number;
  /** Milliseconds waited before this repetition; 0 where it follows at once. */
  waitedMs: number;
}

/** A move of rows from one shard to another came to a new phase. */
export interface MoveEvent {
  /** The same in all events of one move. */
  id: string;
  /** The phase that it has come to. */
  phase: string;
  keyspace: string;
  /** The shard that the rows leave. */
  from: string;
  /** The shard that they go to. */
  to: string;
}

/** What is published on each channel. */
export interface ChannelEvents {
  query: QueryEvent;
  route: RouteEvent;
  retry: RetryEvent;
  move: MoveEvent;
}

interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: object): void;
}

export type Channels = Readonly<Record<ChannelName, Channel>>;

/** The part of `globalThis` that leads to Node's modules. */
export interface NodeScope {
  readonly process?: { readonly getBuiltinModule?: (name: string) => unknown };
}

/** Undefined until someone asks first, null where the runtime has no such channels. */
let channels: Channels | null | undefined;

/**
 * Does anyone listen? Costs a property read, so it may be asked on the hot path.
 *
 * @example
 * if (hasListeners('route')) for (const key of keys) publish('route', () => eventOf(key));
 */
export function hasListeners(name: ChannelName): boolean {
  if (channels === undefined) channels = openChannels(globalThis as unknown as NodeScope);
  return channels?.[name].hasSubscribers ?? false;
}

/**
 * Publishes an event, which is made only when someone listens. Never throws: what a listener throws is logged.
 *
 * In workerd a listener that throws keeps the event from those that subscribed after it; Node asks them all, and raises
 * `uncaughtException` afterwards.
 *
 * @example
 * publish('retry', () => ({ shard, reason: 'transient', attempt, waitedMs }));
 */
export function publish<N extends ChannelName>(name: N, makeEvent: () => ChannelEvents[N]): void {
  if (!hasListeners(name)) return;
  try {
    channels?.[name].publish(makeEvent());
  } catch (error) {
    // Whoever publishes is in the midst of a statement, which must not fail because someone watches.
    console.error(`Publishing on ${CHANNELS[name]} failed`, error);
  }
}

/**
 * The channels of a runtime, or null where there are none. An `import` of the module would keep the package from loading
 * in such a runtime, hence the way through `process`, which finds it in Node from 20.16 on and in Workers with a recent
 * compatibility date, also without `nodejs_compat`.
 */
export function openChannels(scope: NodeScope): Channels | null {
  try {
    const found = scope.process?.getBuiltinModule?.('node:diagnostics_channel');
    if (!found) return null;
    const { channel } = found as { channel(name: string): Channel };
    return {
      query: channel(CHANNELS.query),
      route: channel(CHANNELS.route),
      retry: channel(CHANNELS.retry),
      move: channel(CHANNELS.move),
    };
  } catch {
    // Bundlers put in a `process` whose functions throw that they are not implemented.
    return null;
  }
}

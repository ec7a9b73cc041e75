import { afterEach, describe, expect, it, vi } from 'vitest';
import {
  CHANNELS,
  type ChannelName,
  hasListeners,
  type NodeScope,
  openChannels,
  publish,
  type RouteEvent,
} from '../../src/telemetry/channels';

type Listener = (message: unknown, channel: string | symbol) => void;

interface DiagnosticsChannel {
  subscribe(channel: string, listener: Listener): void;
  unsubscribe(channel: string, listener: Listener): void;
}

// What `import ... from 'node:diagnostics_channel'` gives; the types of the tests have no Node.
const { process } = globalThis as unknown as { process: { getBuiltinModule(name: string): DiagnosticsChannel } };
const { subscribe, unsubscribe } = process.getBuiltinModule('node:diagnostics_channel');

const route: RouteEvent = { keyspace: 'users', key: 'u1', shard: 's0', source: 'map' };
const retry = { shard: 's1', reason: 'busy', attempt: 2, waitedMs: 50 } as const;

const undo: (() => void)[] = [];
afterEach(() => {
  for (const step of undo.splice(0)) step();
  vi.restoreAllMocks();
});

function listen(name: ChannelName, listener: Listener): void {
  subscribe(CHANNELS[name], listener);
  undo.push(() => unsubscribe(CHANNELS[name], listener));
}

describe('events on diagnostics channels', () => {
  it('are not made when nobody listens', () => {
    const makeEvent = vi.fn(() => route);
    listen('query', () => {});
    expect(hasListeners('route')).toBe(false);
    publish('route', makeEvent);
    expect(makeEvent).not.toHaveBeenCalled();
  });

  it('reach who listens, each channel its own', () => {
    const routes = vi.fn();
    const retries = vi.fn();
    listen('route', routes);
    listen('retry', retries);
    const makeEvent = vi.fn(() => route);
    expect(hasListeners('route')).toBe(true);
    publish('route', makeEvent);
    publish('retry', () => retry);
    expect(makeEvent).toHaveBeenCalledTimes(1);
    expect(routes.mock.calls).toEqual([[route, 'sharded-drizzle:route']]);
    expect(retries.mock.calls).toEqual([[retry, 'sharded-drizzle:retry']]);
  });

  it('are made anew for those who begin to listen, until they end', () => {
    const listener = vi.fn();
    publish('move', () => ({ id: 'm', phase: 'copy', keyspace: 'users', from: 's0', to: 's1' }));
    subscribe(CHANNELS.move, listener);
    publish('move', () => ({ id: 'm', phase: 'switch', keyspace: 'users', from: 's0', to: 's1' }));
    unsubscribe(CHANNELS.move, listener);
    expect(hasListeners('move')).toBe(false);
    publish('move', () => ({ id: 'm', phase: 'done', keyspace: 'users', from: 's0', to: 's1' }));
    expect(listener.mock.calls.map(([event]) => event.phase)).toEqual(['switch']);
  });

  it('do no harm when a listener throws', () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
    const failure = new Error('boom');
    const earlier = vi.fn();
    listen('query', earlier);
    listen('query', () => {
      throw failure;
    });
    const event = { sql: 'select 1', params: [], kind: 'single', shards: ['s0'], durationMs: 1 };
    expect(() => publish('query', () => event)).not.toThrow();
    expect(earlier).toHaveBeenCalledWith(event, 'sharded-drizzle:query');
    expect(logged).toHaveBeenCalledWith('Publishing on sharded-drizzle:query failed', failure);
  });

  it('do no harm when one cannot be made', () => {
    const logged = vi.spyOn(console, 'error').mockImplementation(() => {});
    const listener = vi.fn();
    listen('route', listener);
    expect(() =>
      publish('route', () => {
        throw new Error('no event');
      }),
    ).not.toThrow();
    expect(listener).not.toHaveBeenCalled();
    expect(logged).toHaveBeenCalledTimes(1);
  });
});

describe('a runtime without diagnostics channels', () => {
  it.each<[string, NodeScope]>([
    ['no process', {}],
    ['a process without getBuiltinModule', { process: {} }],
    ['no such module', { process: { getBuiltinModule: () => undefined } }],
    ['a module without channels', { process: { getBuiltinModule: () => ({}) } }],
    [
      'a process that is not implemented',
      {
        process: {
          getBuiltinModule() {
            throw new Error('not implemented');
          },
        },
      },
    ],
  ])('is recognized by %s', (_name, scope) => {
    expect(openChannels(scope)).toBeNull();
  });

  it('publishes nothing, and is asked only once', async () => {
    // Another copy of the module, which has not looked yet.
    const path = '../../src/telemetry/channels.ts?without-channels';
    const copy: typeof import('../../src/telemetry/channels') = await import(path);
    const getBuiltinModule = vi.fn(() => undefined);
    const makeEvent = vi.fn(() => route);
    listen('route', makeEvent);
    vi.stubGlobal('process', { getBuiltinModule });
    try {
      expect(copy.hasListeners('route')).toBe(false);
      copy.publish('route', makeEvent);
    } finally {
      vi.unstubAllGlobals();
    }
    copy.publish('route', makeEvent);
    expect(getBuiltinModule.mock.calls).toEqual([['node:diagnostics_channel']]);
    expect(makeEvent).not.toHaveBeenCalled();
  });
});

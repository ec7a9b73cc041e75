import fc from 'fast-check';
import { Hono } from 'hono';
import { timing as honoTiming } from 'hono/timing';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { QueryEvent } from '../../src/config';
import { ServerTiming } from '../../src/telemetry/server-timing';

let clock = 0;
beforeEach(() => {
  clock = 1000;
  vi.spyOn(performance, 'now').mockImplementation(() => clock);
});
afterEach(() => vi.restoreAllMocks());

/** A statement that begins when the last one ended, unless `begun` ms earlier, and has just ended. */
function ran(timing: ServerTiming, durationMs: number, event: Partial<QueryEvent> = {}, begun = 0): void {
  clock += durationMs - begun;
  timing.onQuery({ sql: 'select 1', params: [], kind: 'single', shards: ['s0'], durationMs, ...event });
}

/** The entries of a header as a strict parser reads them: `name;dur=number;desc="text"`, and no two of one name. */
function parse(header: string): Record<string, { dur: number; desc: string }> {
  const pattern = /([\w!#$%&'*+.^`|~-]+);dur=(\d+(?:\.\d)?);desc="((?:[ !#-[\]-~]|\\["\\])*)"(, |$)/y;
  const entries: Record<string, { dur: number; desc: string }> = {};
  while (pattern.lastIndex < header.length) {
    const at = pattern.lastIndex;
    const found = pattern.exec(header);
    if (!found) throw new Error(`not an entry: ${header.slice(at)}`);
    const [, name, dur, desc] = found as unknown as [string, string, string, string];
    if (name in entries) throw new Error(`twice: ${name}`);
    entries[name] = { dur: Number(dur), desc: desc.replace(/\\(.)/g, '$1') };
  }
  return entries;
}

const one = () => {
  const timing = new ServerTiming();
  ran(timing, 4.1);
  return timing;
};
const ONE = 'db;dur=4.1;desc="1 query", kind-single;dur=4.1;desc="1", s0;dur=4.1;desc="1"';

describe('the Server-Timing of a request', () => {
  it('is empty without statements', () => {
    expect(`${new ServerTiming()}`).toBe('');
  });

  it('has an entry for all statements, for each kind and for each shard', () => {
    const timing = new ServerTiming();
    ran(timing, 4.1, { shards: ['db-east'] });
    ran(timing, 3.06, { shards: ['db-west'] });
    ran(timing, 5.14, { kind: 'scatter', shards: ['db-east', 'db-west'] });
    expect(String(timing)).toBe(
      'db;dur=12.3;desc="3 queries", kind-single;dur=7.2;desc="2", kind-scatter;dur=5.1;desc="1", ' +
        'db-east;dur=9.2;desc="2", db-west;dur=8.2;desc="2"',
    );
  });

  it('counts the time of statements that run together once', () => {
    const timing = new ServerTiming();
    // A batch: each of its statements tells the time of all.
    for (let i = 0; i < 5; i++) ran(timing, 20, { shards: [`s${i % 2}`] }, i === 0 ? 0 : 20);
    ran(timing, 10, {}, 5);
    expect(parse(`${timing}`)).toEqual({
      db: { dur: 25, desc: '6 queries' },
      'kind-single': { dur: 25, desc: '6' },
      s0: { dur: 25, desc: '4' },
      s1: { dur: 20, desc: '2' },
    });
  });

  it('counts what failed, and what was refused before any shard was asked', () => {
    const timing = new ServerTiming();
    ran(timing, 1);
    ran(timing, 0, { kind: 'refused', shards: [], error: new Error('no') });
    expect(parse(`${timing}`)).toEqual({
      db: { dur: 1, desc: '2 queries, 1 failed' },
      'kind-single': { dur: 1, desc: '1' },
      'kind-refused': { dur: 0, desc: '1' },
      s0: { dur: 1, desc: '1' },
    });
  });

  it.each([
    ['a space', 'db east', 'db_east', '1: db east'],
    ['what separates entries', 'a,b;c="d"', 'a_b_c__d_', '1: a,b;c="d"'],
    ['a backslash', 'a\\b', 'a_b', '1: a\\b'],
    ['other scripts', 'données-東', 'donn_es-_', '1: donn?es-?'],
    ['a line break', 'a\r\nSet-Cookie: x=1', 'a__Set-Cookie__x_1', '1: a??Set-Cookie: x=1'],
    ['the name of the total', 'db', 'db_', '1: db'],
    ['the name of the rest', 'other', 'other_', '1: other'],
    ['the name of a kind', 'kind-single', 'kind-single_', '1: kind-single'],
    ['no characters', '', '_', '1: '],
    ['1000 characters', 'x'.repeat(1000), 'x'.repeat(64), `1: ${'x'.repeat(64)}`],
    ['all of a token', "!#$%&'*+-.^_`|~09azAZ", "!#$%&'*+-.^_`|~09azAZ", '1'],
  ])('takes a shard whose name has %s', (_name, shard, token, desc) => {
    const timing = new ServerTiming();
    ran(timing, 2, { shards: [shard] });
    expect(parse(`${timing}`)).toEqual({
      db: { dur: 2, desc: '1 query' },
      'kind-single': { dur: 2, desc: '1' },
      [token]: { dur: 2, desc },
    });
  });

  it('tells shards apart whose names become the same', () => {
    const timing = new ServerTiming();
    ran(timing, 1, { shards: ['a b', 'a/b', 'a_b'] });
    expect(parse(`${timing}`)).toMatchObject({
      a_b: { desc: '1: a b' },
      a_b_: { desc: '1: a/b' },
      a_b__: { desc: '1: a_b' },
    });
  });

  it('has at most 20 entries, the rest taken together', () => {
    const timing = new ServerTiming();
    const names = Array.from({ length: 30 }, (_, i) => `s${i}`);
    ran(timing, 6, { kind: 'scatter', shards: names });
    for (let i = 0; i < 12; i++) ran(timing, 1, { kind: `k${i}`, shards: ['s29'] });
    const entries = parse(`${timing}`);
    expect(Object.keys(entries)).toHaveLength(20);
    expect(entries).toMatchObject({
      db: { dur: 18, desc: '13 queries' },
      s0: { dur: 6, desc: '1' },
      s8: { dur: 6, desc: '1' },
      other: { dur: 18, desc: '33' },
      'other-kind': { dur: 5, desc: '5' },
    });
    expect(entries).not.toHaveProperty('s9');
  });

  it('never has a duration that is negative or no number', () => {
    for (const ms of [Number.NaN, -3, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]) {
      const timing = new ServerTiming();
      timing.onQuery({ sql: '', params: [], kind: 'single', shards: ['s0'], durationMs: ms });
      expect(parse(`${timing}`)).toMatchObject({ db: { dur: 0 }, s0: { dur: 0 } });
    }
  });

  it('is well-formed for any events', () => {
    const event = fc.record({
      kind: fc.string({ unit: 'binary', maxLength: 8 }),
      shards: fc.array(fc.string({ unit: 'binary', maxLength: 4 }), { maxLength: 6 }),
      durationMs: fc.oneof(fc.double({ max: 1e9 }), fc.constantFrom(0, -1, Number.NaN)),
    });
    fc.assert(
      fc.property(fc.array(event, { minLength: 1, maxLength: 30 }), (events) => {
        const timing = new ServerTiming();
        for (const one of events) timing.onQuery({ sql: '', params: [], ...one });
        expect(Object.keys(parse(`${timing}`)).length).toBeLessThanOrEqual(20);
      }),
    );
  });

  it('does not see the statements of another', () => {
    const [mine, yours] = [new ServerTiming(), new ServerTiming()];
    ran(mine, 4.1);
    ran(yours, 9, { shards: ['s1'] });
    expect(`${mine}`).toBe(ONE);
  });
});

describe('a response with Server-Timing', () => {
  it('keeps its status, headers and body', async () => {
    const response = new Response('body', { status: 418, statusText: 'Teapot', headers: { 'x-a': '1' } });
    response.headers.append('set-cookie', 'a=1');
    response.headers.append('set-cookie', 'b=2');
    const timed = one().applyTo(response);
    expect(timed.headers.get('server-timing')).toBe(ONE);
    expect([timed.status, timed.statusText, timed.headers.get('x-a')]).toEqual([418, 'Teapot', '1']);
    expect(timed.headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect(await timed.text()).toBe('body');
  });

  it('may have headers that cannot be changed', () => {
    const redirect = Response.redirect('https://example.com/', 303);
    expect(() => redirect.headers.append('x', 'y')).toThrow(TypeError);
    const timed = one().applyTo(redirect);
    expect(timed.headers.get('server-timing')).toBe(ONE);
    expect([timed.status, timed.headers.get('location')]).toEqual([303, 'https://example.com/']);
  });

  it('may have come over the network', async () => {
    const url = 'https://example.com/telemetry';
    const headers = { 'cache-control': 'max-age=60' };
    await caches.default.put(url, new Response('hello', { headers }));
    const fetched = (await caches.default.match(url)) as Response;
    expect(() => fetched.headers.append('x', 'y')).toThrow(TypeError);
    const timed = one().applyTo(fetched);
    expect(timed.headers.get('server-timing')).toBe(ONE);
    expect(await timed.text()).toBe('hello');
  });

  it('keeps the Server-Timing that it has', () => {
    const timed = one().applyTo(new Response(null, { headers: { 'server-timing': 'cdn;dur=1' } }));
    expect(timed.headers.get('server-timing')).toBe(`cdn;dur=1, ${ONE}`);
  });

  it('leaves the one given as it was, so that one for many requests carries nothing over', () => {
    const shared = new Response(null, { status: 204 });
    expect(one().applyTo(shared).headers.get('server-timing')).toBe(ONE);
    expect(one().applyTo(shared).headers.get('server-timing')).toBe(ONE);
    expect(shared.headers.has('server-timing')).toBe(false);
  });

  it('is the one given when there is nothing to tell, or when it cannot be copied', () => {
    const response = new Response('x');
    expect(new ServerTiming().applyTo(response)).toBe(response);
    const error = Response.error();
    expect(one().applyTo(error)).toBe(error);
  });

  it('may have a null body, or a WebSocket', () => {
    expect(one().applyTo(new Response(null, { status: 304 }))).toMatchObject({ status: 304, body: null });
    const { 0: webSocket } = new WebSocketPair();
    const upgrade = one().applyTo(new Response(null, { status: 101, webSocket }));
    expect([upgrade.status, upgrade.webSocket]).toEqual([101, webSocket]);
  });

  it('is given by Hono as documented', async () => {
    const app = new Hono<{ Variables: { timing: ServerTiming } }>();
    app.use(async (c, next) => {
      const timing = new ServerTiming();
      c.set('timing', timing);
      await next();
      c.res = timing.applyTo(c.res);
    });
    app.get('/', (c) => {
      ran(c.var.timing, 4.1);
      return c.text('hello');
    });
    for (let i = 0; i < 2; i++) {
      const response = await app.request('/');
      expect(response.headers.get('server-timing')).toBe(ONE);
      expect(await response.text()).toBe('hello');
    }
  });

  it('is given by Hono besides the timing of another middleware', async () => {
    const app = new Hono();
    app.use(async (c, next) => {
      await next();
      c.header('Server-Timing', one().toString(), { append: true });
    });
    app.use(honoTiming());
    app.get('/', (c) => c.text('hello'));
    const header = (await app.request('/')).headers.get('server-timing');
    expect(header).toMatch(/^total;/);
    expect(header?.endsWith(`, ${ONE}`)).toBe(true);
  });
});

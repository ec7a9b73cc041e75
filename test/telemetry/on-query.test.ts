import { beforeEach, expect, it } from 'vitest';
import { shardedD1 } from '../../src';
import { ServerTiming } from '../../src/telemetry/server-timing';
import { resetDatabases } from '../support/reset';
import { shards } from '../support/shards';

beforeEach(resetDatabases);

it('the Server-Timing of a request is told of the statements of a database as its onQuery', async () => {
  const timing = new ServerTiming();
  const d1 = shardedD1({ shards: shards(2), onQuery: timing.onQuery });
  await d1.prepare('create table users (id text primary key)').run();
  await d1.prepare('insert into users (id) values (?)').bind('a').run();
  await d1.prepare('select * from users where id = ?').bind('a').run();
  await expect(d1.prepare('select * from nowhere').run()).rejects.toThrow();
  const header = timing.toString();
  expect(header).toMatch(/^db;dur=\d+(\.\d)?;desc="4 queries, 1 failed", /);
  for (const name of ['kind-broadcast', 'kind-single', 'kind-refused', 's0', 's1'])
    expect(header).toContain(`, ${name};`);
});

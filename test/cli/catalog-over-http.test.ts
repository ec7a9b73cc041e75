import { describe, expect, it } from 'vitest';
import { coordinatorCatalog } from '../../src/catalog/coordinator-client';
import { coordinatorOverHttp } from '../../src/cli/fleet/catalog-over-http';
import { outcomeOf } from '../../src/execution/retry';
import { Account } from './support/account';
import { failureOf } from './support/client';
import { SimulatedBackend } from './support/simulated-backend';

const SECRET = 'a-secret-of-more-than-16-characters';

describe('the secret of the catalog', () => {
  it.each([
    ['http://worker.example.com', SECRET, 'The secret of the catalog is not sent to http://worker.example.com.'],
    ['https://127.0.0.1:1', `${SECRET}\nmore`, 'SHARDED_SECRET contains characters that cannot be sent.'],
    ['https://127.0.0.1:1', `${SECRET}€`, 'SHARDED_SECRET contains characters that cannot be sent.'],
  ])('is not sent in clear, nor quoted: %s', async (url, secret, message) => {
    await using account = await Account.open(new SimulatedBackend(2), { coordinator: true });
    const { code, stderr } = await account.run(['status'], { SHARDED_URL: url, SHARDED_SECRET: secret });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain(SECRET);
    expect(code).toBe(2);
  });
});

describe('an answer', () => {
  const mapOf = (status: number, text: () => Promise<string>) =>
    coordinatorCatalog(coordinatorOverHttp('https://worker.example.com', SECRET, async () => ({ status, text }))).map();

  it.each([
    ['of a gateway', 502, async () => '<html>Bad gateway</html>'],
    ['that is cut off', 200, () => Promise.reject(new TypeError('terminated'))],
  ])('%s is one that was lost, and is asked for again', async (_, status, text) => {
    expect(outcomeOf(await failureOf(mapOf(status, text)))).toBe('unknown');
  });

  it.each([
    ['of the endpoint', 503, async () => '{"error":"no secret"}', 'no secret Give the Worker one'],
    ['of another Worker', 404, async () => 'Not found', 'Does the Worker call catalogEndpoint()'],
    ['that is null', 400, async () => 'null', 'answered 400: null'],
  ])('%s is final', async (_, status, text, message) => {
    const failure = await failureOf(mapOf(status, text));
    expect(failure.message).toContain(message);
    expect(outcomeOf(failure)).toBe('final');
  });
});

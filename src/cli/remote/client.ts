import { D1Resource } from 'cloudflare/resources/d1/d1';
import { createClient } from 'cloudflare/tree-shakable';
import { ConfigError } from '../../errors';
import { DEFAULT_PACE, type Pace, pacedFetch } from './paced-fetch';

/** Whose databases are asked, and by what right. */
export interface Credentials {
  /** `CLOUDFLARE_ACCOUNT_ID` */
  readonly accountId: string;
  /** `CLOUDFLARE_API_TOKEN`, with the permission D1:Edit. */
  readonly apiToken: string;
  /** Another server that speaks the API. Default: Cloudflare's. */
  readonly baseURL?: string | undefined;
}

const CLOUDFLARE = 'https://api.cloudflare.com/client/v4';

/**
 * Cloudflare's API client for the databases of one account, held to the rate limit. It repeats nothing but what was refused
 * as one request too many. The token is nowhere on it that a log would show.
 *
 * @example
 * const client = new RemoteClient({ accountId, apiToken });
 * const shard = httpD1(client, { databaseId, name: 'db-east' });
 *
 * @throws ConfigError when the credentials cannot be right.
 */
export class RemoteClient {
  readonly accountId: string;
  readonly #d1: D1Resource;

  constructor(credentials: Credentials, pace: Partial<Pace> = {}) {
    const { accountId, apiToken, baseURL } = checked(credentials);
    this.accountId = accountId;
    const client = createClient({
      resources: [D1Resource],
      baseURL,
      apiToken,
      // Not from the environment: a second identity beside the token would be sent along.
      apiKey: null,
      apiEmail: null,
      userServiceKey: null,
      fetch: pacedFetch({ ...DEFAULT_PACE, ...pace }),
      // It would repeat writes whose answer was lost.
      maxRetries: 0,
      logLevel: 'off',
    });
    this.#d1 = client.d1;
  }

  get d1(): D1Resource {
    return this.#d1;
  }
}

function checked({ accountId, apiToken, baseURL = CLOUDFLARE }: Credentials): Required<Credentials> {
  const account = accountId.trim();
  const token = apiToken.trim();
  if (!account)
    throw new ConfigError('The id of the Cloudflare account is empty.', { remedy: 'Set CLOUDFLARE_ACCOUNT_ID.' });
  if (!token) {
    throw new ConfigError('The API token is empty.', {
      remedy: 'Set CLOUDFLARE_API_TOKEN to a token with the permission D1:Edit.',
    });
  }
  // A header that cannot be sent would be quoted by the error of `fetch`.
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new ConfigError('The API token contains characters that no token has.', {
      remedy: 'Look for a line break or a quote in CLOUDFLARE_API_TOKEN.',
    });
  }
  if (!isPrivate(baseURL)) {
    throw new ConfigError(`The API token is not sent to ${baseURL}.`, { remedy: 'Use an address with https.' });
  }
  return { accountId: account, apiToken: token, baseURL };
}

/** Nobody on the way can read what is sent there. */
export function isPrivate(baseURL: string): boolean {
  if (!URL.canParse(baseURL)) return false;
  const { protocol, hostname } = new URL(baseURL);
  return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname));
}

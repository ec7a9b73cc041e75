import { CATALOG_PATH, type CatalogCall } from '../../catalog/catalog-endpoint';
import type { Answer, CoordinatorNamespace, RemoteCatalog } from '../../catalog/coordinator-client';

/** How the endpoint is reached. */
export type Fetch = (
  url: string,
  init: { method: 'POST'; headers: Record<string, string>; body: string },
) => Promise<Pick<Response, 'status' | 'text'>>;

/** The catalog of a coordinator, through `catalogEndpoint` of its Worker. */
export function coordinatorOverHttp(base: string, secret: string, send: Fetch): CoordinatorNamespace {
  const url = new URL(CATALOG_PATH, base).href;
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  const stub = (cluster: string): RemoteCatalog => ({
    call: async (operation, args) => {
      const body = JSON.stringify({ cluster, operation, args } satisfies CatalogCall);
      return read(url, await send(url, { method: 'POST', headers, body }));
    },
  });
  return {
    idFromName: (name) => ({ name, toString: () => name, equals: (other) => other.name === name }),
    get: ({ name }) => stub(name as string),
  };
}

/** In the words of a binding, so that it is tried again: every operation of the catalog may be. */
export const lost = (reason: string, cause: unknown): Error =>
  new Error(`Network connection lost: ${reason}.`, { cause });

async function read(url: string, response: Pick<Response, 'status' | 'text'>): Promise<Answer<unknown>> {
  const text = await response.text().catch((error: unknown) => {
    throw lost(`the answer of ${url} is cut off`, error);
  });
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    answer = undefined;
  }
  // An operation without an answer comes as {}.
  if (response.status === 200 && typeof answer === 'object' && answer !== null) {
    return 'error' in answer ? (answer as Answer<unknown>) : { value: undefined, ...answer };
  }
  const refused = (answer as { error?: string } | null | undefined)?.error;
  // Not the endpoint's own words: it was not reached, or has fallen over.
  if (response.status >= 500 && refused === undefined) throw lost(`${url} answered ${response.status}`, text);
  const said = refused ?? text.slice(0, 200);
  return { error: `${url} answered ${response.status}: ${said} ${remedyOf(response.status)}` };
}

function remedyOf(status: number): string {
  if (status === 401) return 'SHARDED_SECRET has to be the secret that the Worker has.';
  if (status === 404) return 'Does the Worker call catalogEndpoint(), and is that one deployed? See docs/deploy.md.';
  if (status === 503) return 'Give the Worker one: npx wrangler secret put SHARDED_SECRET';
  return '';
}

/** What the example Worker answers; `data` is there unless there was an error. */
export interface Answer {
  status: number;
  data: unknown;
  shards: string[];
  ms: number;
  code?: string;
}

export type Ask = (path: string, init?: { method?: string; json?: unknown }) => Promise<Answer>;

/** Talks to the example Worker at `base`. */
export const client =
  (base: URL): Ask =>
  async (path, { json, method = json === undefined ? 'GET' : 'POST' } = {}) => {
    const started = performance.now();
    const response = await fetch(new URL(path, base), {
      method,
      ...(json !== undefined && { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.includes('json');
    const body = isJson ? (JSON.parse(text) as Partial<Answer>) : { data: text };
    return { data: undefined, shards: [], ms: performance.now() - started, ...body, status: response.status };
  };

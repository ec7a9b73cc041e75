/** The names of a namespace that begin with a text, a page of at most 1,000 at a time, to the last one. */
export async function* namesWithPrefix(kv: Pick<KVNamespace, 'list'>, prefix: string): AsyncGenerator<string[]> {
  for (let cursor: string | undefined; ; ) {
    const page = await kv.list({ prefix, ...(cursor === undefined ? {} : { cursor }) });
    yield page.keys.map(({ name }) => name);
    if (page.list_complete) return;
    cursor = page.cursor;
  }
}

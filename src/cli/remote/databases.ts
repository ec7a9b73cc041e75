import type { D1 } from 'cloudflare/resources/d1/d1';
import type { DatabaseCreateParams, DatabaseListResponse } from 'cloudflare/resources/d1/database/database';
import type { TimeTravelGetBookmarkResponse } from 'cloudflare/resources/d1/database/time-travel';
import { withRetries } from '../../execution/retry';
import { resultOf } from './answer';
import { CloudflareApiError } from './api-errors';
import type { RemoteClient } from './client';

/** A database as the account lists it. */
export interface DatabaseInfo {
  readonly id: string;
  readonly name: string;
}

/** Where a database shall be made: https://developers.cloudflare.com/d1/configuration/data-location/ */
export type LocationHint = NonNullable<DatabaseCreateParams['primary_location_hint']>;

/** 10 to 10,000: https://developers.cloudflare.com/api/resources/d1/subresources/database/methods/list/ */
const PAGE_SIZE = 1000;

/** All databases of the account; with a name, those whose names contain it. */
export async function listDatabases(client: RemoteClient, name?: string): Promise<DatabaseInfo[]> {
  const { accountId } = client;
  const params = { account_id: accountId, per_page: PAGE_SIZE, ...(name === undefined ? {} : { name }) };
  const found: DatabaseInfo[] = [];
  for (let page = 1; ; page++) {
    const read = () => resultOf(client.d1.database.list({ ...params, page }), { accountId });
    const list = (await withRetries(false, read)) as DatabaseListResponse[];
    for (const { uuid, name } of list) if (uuid && name) found.push({ id: uuid, name });
    if (list.length < PAGE_SIZE) return found;
  }
}

/** The database of exactly this name. */
export async function databaseByName(client: RemoteClient, name: string): Promise<DatabaseInfo | undefined> {
  return (await listDatabases(client, name)).find((database) => database.name === name);
}

/**
 * Makes a database. When the answer is lost, look for it with `databaseByName` before you ask again: names are unique.
 *
 * @example
 * const { id } = await createDatabase(client, 'db-east', 'enam');
 *
 * @throws CloudflareApiError when there is one of this name, or the account may have no more.
 */
export async function createDatabase(
  client: RemoteClient,
  name: string,
  locationHint?: LocationHint,
): Promise<DatabaseInfo> {
  const { accountId } = client;
  const call = client.d1.database.create({
    account_id: accountId,
    name,
    ...(locationHint ? { primary_location_hint: locationHint } : {}),
  });
  const made = (await resultOf(call, { accountId })) as D1;
  if (!made.uuid) throw new CloudflareApiError(`Cloudflare's API does not tell the id of the new database ${name}.`);
  return { id: made.uuid, name: made.name ?? name };
}

/** The point in time at which a database is now, for `restoreCommand`. It can be gone back to for 30 days (7 on the free plan). */
export async function timeTravelBookmark(client: RemoteClient, database: DatabaseInfo): Promise<string> {
  const { accountId } = client;
  const ask = () => client.d1.database.timeTravel.getBookmark(database.id, { account_id: accountId });
  const read = () => resultOf(ask(), { accountId, database });
  const { bookmark } = (await withRetries(false, read)) as TimeTravelGetBookmarkResponse;
  if (bookmark) return bookmark;
  throw new CloudflareApiError(`Cloudflare's API names no Time Travel bookmark of the database ${database.name}.`);
}

/**
 * The command that brings a database back to a bookmark. It overwrites all that was written since.
 *
 * @example
 * restoreCommand('db-east', '00000085-...') // npx wrangler d1 time-travel restore db-east --bookmark=00000085-...
 */
export const restoreCommand = (name: string, bookmark: string): string =>
  `npx wrangler d1 time-travel restore ${name} --bookmark=${bookmark}`;

import type { LoadState } from '../load-state.ts';
import { type CityRow, cityRows, countryRows } from './dataset.ts';
import { type LocalWorker, startWorker } from './local.ts';
import { format, Progress } from './progress.ts';

/** Cities per request: about 130 statements, well under D1's 1,000 in one invocation of a Worker. */
const CITIES_PER_REQUEST = 1500;

/**
 * Loads countries and cities, unless they are there. Cities go in by id, one request after the other, so the highest id
 * that is there tells where a load that was killed has to go on. Inside of a Worker, next to its databases, this takes a
 * fraction of the time that it would take from Node.
 */
export async function loadDataSet(state: string, report: (line: string) => void): Promise<void> {
  const worker = await startWorker({ entrypoint: 'example/load-worker.ts', state });
  try {
    const loaded = await loadState(worker);
    if (loaded.countries < countryRows.length) await send(worker, '/countries', countryRows);
    report(`  countries: ${countryRows.length} on every shard`);
    if (loaded.cities >= cityRows.length) return report(`  cities: all ${format(cityRows.length)} are there`);

    await loadCities(worker, firstUnfinished(loaded));
    // Rows may be missing below the highest id, if somebody deleted them or the data set grew: fill them in.
    if ((await loadState(worker)).cities < cityRows.length) await loadCities(worker, 0);
    const after = await loadState(worker);
    if (after.cities < cityRows.length)
      throw new Error(`only ${after.cities} of ${cityRows.length} cities were loaded`);
  } finally {
    await worker.stop();
  }
}

/** Where the request begins that was the last one to be (partly) applied. */
function firstUnfinished({ lastCityId }: LoadState): number {
  if (lastCityId === null) return 0;
  const last = cityRows.findLastIndex((city) => city.id <= lastCityId);
  return Math.max(0, last - (last % CITIES_PER_REQUEST));
}

async function loadCities(worker: LocalWorker, from: number): Promise<void> {
  const progress = new Progress('cities', cityRows.length, from);
  progress.show(from);
  for (let start = from; start < cityRows.length; start += CITIES_PER_REQUEST) {
    const rows: readonly CityRow[] = cityRows.slice(start, start + CITIES_PER_REQUEST);
    await send(worker, '/cities', rows);
    progress.show(start + rows.length);
  }
}

async function loadState(worker: LocalWorker): Promise<LoadState> {
  return (await request(worker, '/state', {})).json() as Promise<LoadState>;
}

const send = (worker: LocalWorker, path: string, rows: readonly object[]) =>
  request(worker, path, { method: 'POST', body: JSON.stringify(rows) });

async function request(worker: LocalWorker, path: string, init: RequestInit): Promise<Response> {
  const response = await fetch(new URL(path, worker.url), init);
  if (!response.ok) throw new Error(`loading failed at ${path}: ${await response.text()}`);
  return response;
}
